import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logQuery } from './logs.ts';

const query = (options: object) => Object.fromEntries(logQuery({ namespace: 'default', ...options }));

test('what logs is asked for is put as PodLogOptions has it', () => {
  assert.deepEqual(query({ follow: true, tail: '20', timestamps: true, since: '1h30m' }), {
    follow: 'true',
    tailLines: '20',
    timestamps: 'true',
    sinceSeconds: '5400',
  });
  assert.deepEqual(query({ tail: 'all' }), {});
});

test('a count or a time span that is none is refused with one that is', () => {
  assert.throws(() => query({ tail: 'x' }), { mend: /--tail 20/ });
  for (const since of ['', '5', '0s', 'yesterday']) assert.throws(() => query({ since }), { mend: /--since 10m/ });
});
