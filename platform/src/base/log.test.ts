import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, logLevel } from './log.ts';

test('a log whose disk is full ends nobody', () => {
  const log = createLogger({ file: '/dev/full' });
  for (let line = 0; line < 2000; line++) assert.doesNotThrow(() => log.info({ line }, 'x'.repeat(200)));
});

test('a level that is none is refused by the name of its variable, an empty one is none that was asked for', () => {
  assert.equal(logLevel('debug'), 'debug');
  assert.equal(logLevel(''), 'info');
  assert.throws(() => logLevel('loud'), { reason: 'Invalid', message: /^SAMPAN_LOG_LEVEL=loud .*debug, info, warn/ });
});
