import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, logLevel, logWords } from './log.ts';

test('a log whose disk is full ends nobody', () => {
  const log = createLogger({ file: '/dev/full' });
  for (let line = 0; line < 2000; line++) assert.doesNotThrow(() => log.info({ line }, 'x'.repeat(200)));
});

test('a level that is none is refused by the name of its variable, an empty one is none that was asked for', () => {
  assert.equal(logLevel('debug'), 'debug');
  assert.equal(logLevel('', false), 'info');
  assert.throws(() => logLevel('loud'), { reason: 'Invalid', message: /^SAMPAN_LOG_LEVEL=loud .*debug, info, warn/ });
});

test('people at a terminal read warnings in words, unless another level was asked for', () => {
  assert.equal(logLevel('', true), 'warn');
  assert.equal(logLevel('info', true), 'info');
  const line = {
    level: 40,
    time: '2026-01-02T03:04:05.678Z',
    part: 'bundles',
    ms: 7,
    stack: 'at x',
    msg: 'a machine is slow',
  };
  assert.equal(logWords(JSON.stringify(line)), '03:04:05 warn: a machine is slow part=bundles ms=7\n');
  const hostile = { ...line, part: undefined, ms: undefined, said: '\x1b[2J\n\x9b2Jgone' };
  assert.equal(logWords(JSON.stringify(hostile)), '03:04:05 warn: a machine is slow said= [2J 2Jgone\n');
  assert.equal(logWords(JSON.stringify({ level: 30, time: line.time, msg: 'serving' })), '03:04:05 serving\n');
});
