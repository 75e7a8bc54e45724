import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { createNodeLab, type NodeLab } from '../../../test/fixtures/node/node-lab.ts';

const annotation = 'sampan.dev/waits-for-room';
const condition = (pod: Pod | undefined) =>
  pod?.status?.conditions?.find(({ type }) => type === 'sampan.dev/StandsStill');
const told = async (lab: NodeLab) =>
  (await lab.events('p'))
    .filter(({ reason }) => reason?.startsWith('Machine'))
    .map(({ type, reason, count }) => `${type} ${reason} ${count}`);

/** The machine of the lab's one Pod begins to wait for room, or no longer does. */
function setRoom(lab: NodeLab, directory: string | undefined): void {
  for (const { status } of lab.runtime.sandboxes.values()) {
    const { [annotation]: _, ...others } = status.annotations ?? {};
    status.annotations = directory === undefined ? others : { ...others, [annotation]: directory };
  }
}

test('a Pod whose machine stands still for want of room says so once, what to do, and when it goes on', async () => {
  await using lab = await createNodeLab();
  await lab.run('p');
  await lab.until('p', (pod) => pod?.status?.phase === 'Running');
  assert.equal(condition(await lab.pod('p')), undefined);

  setRoom(lab, '/var/lib/sampan/scratch');
  await lab.until('p', (pod) => condition(pod)?.status === 'True', 30_000);
  await lab.settle(60_000);
  assert.deepEqual(await told(lab), ['Warning MachineStandsStill 1']);
  const { message = '' } = condition(await lab.pod('p')) ?? {};
  assert.match(message, /stands still.*\/var\/lib\/sampan\/scratch.*no room.*Free some space/);

  await lab.restart();
  await lab.settle(30_000);
  assert.deepEqual(await told(lab), ['Warning MachineStandsStill 1'], 'another server knows that it was said');

  setRoom(lab, undefined);
  await lab.until('p', (pod) => condition(pod)?.status === 'False', 30_000);
  await lab.settle(30_000);
  assert.deepEqual(await told(lab), ['Warning MachineStandsStill 1', 'Normal MachineGoesOn 1']);
});
