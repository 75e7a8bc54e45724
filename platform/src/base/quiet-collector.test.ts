import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QuietCollector } from './quiet-collector.ts';

const mib = 1 << 20;

function lab() {
  const state = { cpuMs: 0, heapBytes: 100 * mib, collections: 0 };
  const collector = new QuietCollector(2000, {
    cpuMs: () => state.cpuMs,
    heapBytes: () => state.heapBytes,
    collect() {
      state.collections += 1;
      state.heapBytes = 30 * mib;
      state.cpuMs += 150;
    },
  });
  /** The process works for so long, makes so much garbage, and somebody looks. */
  const pass = (cpuMs: number, bytes = 0) => {
    state.cpuMs += cpuMs;
    state.heapBytes += bytes;
    collector.look();
    return state.collections;
  };
  return pass;
}

test('collects once the process has become quiet, and not while it works', () => {
  const pass = lab();
  assert.equal(pass(1500), 0);
  assert.equal(pass(1900), 0);
  assert.equal(pass(10), 1);
});

test('a quiet process is not collected again until there is something to gain', () => {
  const pass = lab();
  pass(0);
  assert.equal(pass(0), 1);
  for (let i = 0; i < 10; i++) assert.equal(pass(10, mib), 1);
  assert.equal(pass(10, 3 * mib), 2);
});

test('its own work does not count as the process’s', () => {
  const pass = lab();
  pass(0);
  assert.equal(pass(0), 1);
  assert.equal(pass(10, 20 * mib), 2);
});
