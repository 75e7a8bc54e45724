import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeClassesOf } from './runtime-classes.ts';

test('each handler with a name has a class with its overhead, and no handler that is not offered has one', () => {
  const classes = runtimeClassesOf(['', 'vm', 'namespace']);
  assert.deepEqual(
    classes.map(({ metadata, handler, overhead }) => [metadata?.name, handler, overhead?.podFixed]),
    [
      ['vm', 'vm', { memory: '128Mi' }],
      ['namespace', 'namespace', { memory: '8Mi' }],
    ],
  );
  assert.deepEqual(
    runtimeClassesOf(['', 'vm']).map(({ handler }) => handler),
    ['vm'],
  );
});
