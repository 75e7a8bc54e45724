import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from './log.ts';

test('a log whose disk is full ends nobody', () => {
  const log = createLogger({ file: '/dev/full' });
  for (let line = 0; line < 2000; line++) assert.doesNotThrow(() => log.info({ line }, 'x'.repeat(200)));
});
