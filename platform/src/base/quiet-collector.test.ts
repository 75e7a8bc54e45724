import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QuietCollector } from './quiet-collector.ts';

const mib = 1 << 20;

function lab(collectionMs = 150) {
  const state = { cpuMs: 0, heapBytes: 100 * mib };
  const did: string[] = [];
  const process = {
    cpuMs: () => state.cpuMs,
    heapBytes: () => state.heapBytes,
    collect() {
      did.push('collect');
      state.heapBytes = 30 * mib;
      state.cpuMs += collectionMs;
    },
    trim() {
      did.push('trim');
      state.cpuMs += 30;
    },
  };
  const collector = new QuietCollector(2000, { process, forget: () => did.push('forget') });
  const count = (what: string) => did.filter((one) => one === what).length;
  /** The process works for so long, makes so much garbage, and somebody looks. Returns how often it has collected. */
  const pass = (cpuMs: number, bytes = 0) => {
    state.cpuMs += cpuMs;
    state.heapBytes += bytes;
    collector.look();
    return count('collect');
  };
  return { pass, did, trims: () => count('trim') };
}

test('collects once the process has become quiet, and not while it works', () => {
  const { pass } = lab();
  assert.equal(pass(1500), 0);
  assert.equal(pass(1900), 0);
  assert.equal(pass(10), 1);
});

test('a quiet process is not collected again until there is something to gain', () => {
  const { pass } = lab();
  pass(0);
  assert.equal(pass(0), 1);
  for (let i = 0; i < 10; i++) assert.equal(pass(10, mib), 1);
  assert.equal(pass(10, 3 * mib), 2);
});

test('collections take no more than a fiftieth of the time', () => {
  const { pass } = lab();
  pass(0);
  assert.equal(pass(0), 1);
  // 150 ms of pause: four looks, two seconds apart.
  for (let i = 0; i < 3; i++) assert.equal(pass(10, 20 * mib), 1);
  assert.equal(pass(10), 2);
});

test('a long collection does not keep garbage for long: it may be followed by another within ten seconds', () => {
  const { pass } = lab(1200);
  pass(0);
  assert.equal(pass(0), 1);
  for (let i = 0; i < 3; i++) assert.equal(pass(10, 40 * mib), 1);
  assert.equal(pass(10), 2);
});

test('long collections, too, take no more than a fiftieth of the time in the long run', () => {
  const { pass } = lab(1200);
  let collections = 0;
  // A quarter of an hour of garbage, 18 s of it for collections, and two seconds in advance.
  for (let i = 0; i < 450; i++) collections = pass(10, 20 * mib);
  assert.ok(collections >= 14 && collections <= 17, String(collections));
});

test('what can be made again is let go of before a collection, and only then', () => {
  const { pass, did } = lab();
  pass(1500);
  for (let i = 0; i < 10; i++) pass(10);
  assert.deepEqual(did, ['forget', 'collect', 'trim']);
});

test('its own work does not count as the process’s', () => {
  const { pass } = lab();
  pass(0);
  assert.equal(pass(0), 1);
  for (let i = 0; i < 3; i++) pass(10);
  assert.equal(pass(10, 20 * mib), 2);
});

test('what goes by itself later is not there to be gained: growth counts from the least there was', () => {
  const { pass } = lab();
  pass(0);
  assert.equal(pass(0), 1);
  for (let i = 0; i < 3; i++) pass(10);
  assert.equal(pass(10, -15 * mib), 1);
  assert.equal(pass(10, 13 * mib), 2);
});

test('malloc is trimmed when what was collected is free, and not again until the process has worked', () => {
  const { pass, trims } = lab();
  pass(1500);
  assert.equal(pass(10), 1);
  assert.equal(trims(), 0, 'not together with the collection');
  pass(10);
  assert.equal(trims(), 1);
  for (let i = 0; i < 10; i++) pass(10);
  assert.equal(trims(), 1);
  pass(1200);
  assert.equal(trims(), 1, 'not while it works');
  pass(10);
  assert.equal(trims(), 2);
});
