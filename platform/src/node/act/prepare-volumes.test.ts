import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';
import { prepareVolumes, refreshVolumes } from './prepare-volumes.ts';

/** Each sync reads `value` when it begins and ends when it is told to. */
function lab() {
  const syncs: { read: number; end: () => void }[] = [];
  let atOnce = 0;
  const is = { value: 0, onDisk: 0, most: 0 };
  const sync = async () => {
    const read = is.value;
    is.most = Math.max(is.most, ++atOnce);
    await new Promise<void>((end) => syncs.push({ read, end }));
    is.onDisk = read;
    atOnce -= 1;
    return {};
  };
  const context = { home: '/nowhere', hostIPs: [], capacity: {}, volumes: { sync } } as unknown as NodeContext;
  const state = new PodState({ metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { containers: [] } } as Pod);
  return { context, state, syncs, is, settle: () => new Promise((resolve) => setImmediate(resolve)) };
}

test('changes that come at once are brought on disk one after the other, the newest last', async () => {
  const { context, state, syncs, is, settle } = lab();
  const first = prepareVolumes(context, state);
  syncs[0]!.end();
  await first;
  const told: Promise<void>[] = [];
  for (const value of [1, 2, 3]) {
    is.value = value;
    told.push(refreshVolumes(context, state));
  }
  await settle();
  assert.equal(syncs.length, 2, 'one refresh for all three');
  is.value = 4;
  told.push(refreshVolumes(context, state));
  await settle();
  assert.equal(syncs.length, 2, 'the next waits for it');
  syncs[1]!.end();
  await settle();
  syncs[2]!.end();
  await Promise.all(told);
  assert.deepEqual(is, { value: 4, onDisk: 4, most: 1 });
});

test('a refresh that fails leaves the way open for the next', async () => {
  const { context, state } = lab();
  let fails = true;
  const sync = async () => {
    if (fails) throw new Error('the API is away');
    return {};
  };
  Object.assign(context, { volumes: { sync } });
  await assert.rejects(refreshVolumes(context, state), /away/);
  fails = false;
  await refreshVolumes(context, state);
});
