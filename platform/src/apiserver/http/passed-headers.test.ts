import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutOurs } from './passed-headers.ts';

test('what is for one connection, for us, or told of by its Connection is not passed on; all else is', () => {
  const passed = { accept: '*/*', cookie: 'a=b', 'x-own': ['1', '2'] };
  const ours = {
    ...{ authorization: 'Bearer secret', 'impersonate-user': 'ann', 'impersonate-extra-team': 'a' },
    ...{ connection: 'keep-alive, X-Hop', 'keep-alive': '5', 'x-hop': 'here', te: 'trailers', upgrade: 'h2c' },
  };
  assert.deepEqual(withoutOurs({ ...ours, ...passed }), passed);
  assert.deepEqual(withoutOurs(passed), passed);
});
