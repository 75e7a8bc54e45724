import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registryAuth } from './image-service.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('credentials of every kind that CRI knows reach the registry’s client', () => {
  assert.equal(registryAuth(undefined), undefined);
  assert.equal(registryAuth({ username: '', password: '', auth: '' }), undefined);
  assert.deepEqual(registryAuth({ username: 'me', password: 'a:b' }), { username: 'me', password: 'a:b' });
  assert.deepEqual(registryAuth({ auth: base64('me:a:b\0\0') }), { username: 'me', password: 'a:b' });
  assert.deepEqual(registryAuth({ identityToken: 'refresh' }), { identityToken: 'refresh' });
  assert.deepEqual(registryAuth({ registryToken: 'bearer' }), { registryToken: 'bearer' });
  assert.deepEqual(registryAuth({ username: 'me', password: 'p', auth: base64('you:q') }), {
    username: 'me',
    password: 'p',
  });
});

test('what is no "user:password" is refused without being told', () => {
  assert.throws(
    () => registryAuth({ auth: base64('hunter2') }),
    (error: Error) => {
      assert.match(error.message, /not base64 of "user:password"/);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );
});
