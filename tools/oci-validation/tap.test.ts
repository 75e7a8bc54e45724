import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inWords, isGood, parseTap } from './tap.ts';

test('points that passed, failed and were skipped are told apart', () => {
  const result = parseTap('TAP version 13\nok 1 - a\n  ---\nnot ok 2 - b must\nok 3 # SKIP no reason\n1..3\n', '', 0);
  assert.deepEqual(result, { passed: 1, skipped: 1, failed: ['b must'], gaveUp: '' });
  assert.equal(inWords(result), '1 ok, 1 not ok');
  assert.ok(!isGood(result));
});

test('a program that ends early says why, whatever it had shown before', () => {
  const result = parseTap('ok 1 - a\n', 'failed to create the container\nno such thing\nexit status 1\n', 1);
  assert.equal(result.gaveUp, 'no such thing');
  assert.equal(inWords(result), '1 ok, gave up');
});

test('a program that only skips is good', () => {
  assert.ok(isGood(parseTap('ok 1 # SKIP cgroup v2\n', '', 0)));
});

test('a program without points has passed when it complains of nothing, and failed when it does', () => {
  assert.ok(isGood(parseTap('TAP version 13\n1..0\n', '', 0)));
  assert.equal(inWords(parseTap('TAP version 13\n1..0\n', '', 0)), 'no complaint');
  const told = 'TAP version 13\n  ---\n  {\n    "error": "hooks MUST \\"so\\""\n  }\n  ...\n1..0\n';
  assert.deepEqual(parseTap(told, '', 0).failed, ['hooks MUST \\"so\\"']);
  assert.ok(!isGood(parseTap(told, '', 0)));
  assert.ok(!isGood(parseTap('', '', 0)), 'one that has printed no plan has not got to its end');
});
