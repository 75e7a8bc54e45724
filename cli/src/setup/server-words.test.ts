import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverMend, serverWords } from './server-words.ts';

test('errors are told in words, each once, and nothing of what went well', () => {
  const error = '{"level":50,"error":"the port is taken","stack":"at x","msg":"the server cannot start"}';
  const log = ['{"level":30,"msg":"hello"}', error, error, '{"level":40,"msg":"slow"}'].join('\n');
  assert.deepEqual(serverWords(`${log}\n`), ['the server cannot start: the port is taken']);
});

test('a log without errors, and what is no JSON, is shown as it ends', () => {
  assert.deepEqual(serverWords('Illegal instruction\n'), ['Illegal instruction']);
  assert.equal(serverWords('a\n'.repeat(20)).length, 6);
  assert.deepEqual(serverWords(''), []);
});

test('what to do follows from what it said; else the log is named', () => {
  assert.match(serverMend(['cannot listen on x: listen EADDRINUSE'], '/log'), /SAMPAN_LISTEN/);
  assert.match(serverMend(['the store could not write: database or disk is full'], '/log'), /SAMPAN_HOME/);
  assert.match(serverMend(['something else'], '/log'), /read \/log/);
});
