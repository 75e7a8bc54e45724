import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import type { Event as KubeEvent, Node, Pod } from 'kubernetes-types/core/v1.js';
import { createNodeLab, type NodeLab } from '../../test/fixtures/node/node-lab.ts';
import type { GarbageResult, GarbageThresholds } from '../images/garbage.ts';
import { pressureRefusal } from './decide/admission.ts';
import { shortageOf } from './images/image-keeper.ts';

const gib = 1024 ** 3;
const phase = (wanted: string) => (pod: Pod | undefined) => pod?.status?.phase === wanted;
const nothing: GarbageResult = { removed: [], wantedBytes: 0, freedBytes: 0, disk: { usedBytes: 1, capacityBytes: 2 } };

/** A disk of which such a share is free. */
const diskWith = (free: () => number) => async (path: string) => ({
  path,
  capacityBytes: 100 * gib,
  availableBytes: free() * 100 * gib,
  inodes: 0,
  inodesFree: 0,
});

/** Notes what it is asked for and finds nothing to do. */
const collector = (asked: GarbageThresholds[]) => ({
  async collectGarbage(marks: GarbageThresholds) {
    asked.push(marks);
    return nothing;
  },
});

async function diskCondition(lab: NodeLab) {
  const node = await lab.client.get<Node>(resources.nodes, 'node-1');
  return node.status?.conditions?.find(({ type }) => type === 'DiskPressure');
}

async function nodeEvents(lab: NodeLab): Promise<KubeEvent[]> {
  const { items } = await lab.client.list<KubeEvent>(resources.events, { namespace: 'default' });
  return items.filter(
    ({ involvedObject, source }) => involvedObject.kind === 'Node' && source?.component === 'kubelet',
  );
}

describe('a node whose disk is short', () => {
  test('says so, takes no new Pod but what the system stands on, and is over it five minutes after there is room again', async () => {
    let free = 0.5;
    await using lab = await createNodeLab({}, { measureDisk: diskWith(() => free) });
    const told = async () => {
      await lab.settle(1000);
      return (await nodeEvents(lab)).map(({ reason }) => reason ?? '').filter((reason) => reason !== 'RegisteredNode');
    };
    await lab.run('before');
    await lab.until('before', phase('Running'));
    assert.equal((await diskCondition(lab))?.status, 'False');

    free = 0.04;
    await lab.wait('the condition', async () => (await diskCondition(lab))?.status === 'True', 30_000);
    assert.match((await diskCondition(lab))?.message ?? '', /4\.0% of the disk .* is free; at least 5% is wanted/);
    assert.deepEqual(await told(), ['EvictionThresholdMet', 'NodeHasDiskPressure']);
    await lab.run('during');
    const refused = await lab.until('during', phase('Failed'));
    assert.equal(refused?.status?.reason, 'Evicted');
    assert.equal(refused?.status?.message, 'The node had condition: [DiskPressure]. ');
    assert.equal((await lab.pod('before'))?.status?.phase, 'Running');

    free = 0.5;
    await lab.settle(4 * 60_000);
    assert.equal((await diskCondition(lab))?.status, 'True');
    await lab.wait('the end of it', async () => (await diskCondition(lab))?.status === 'False', 2 * 60_000);
    assert.deepEqual((await told()).at(-1), 'NodeHasNoDiskPressure');
    await lab.run('after');
    await lab.until('after', phase('Running'));
  });

  test('takes Pods of critical priority', () => {
    const pod = (priority?: number): Pod => ({ spec: { containers: [], ...(priority ? { priority } : {}) } });
    assert.equal(pressureRefusal(pod(), ['DiskPressure'])?.reason, 'Evicted');
    assert.equal(pressureRefusal(pod(1_000_000_000), ['DiskPressure'])?.reason, 'Evicted');
    assert.equal(pressureRefusal(pod(2_000_001_000), ['DiskPressure']), undefined);
    assert.equal(pressureRefusal(pod(), []), undefined);
  });

  test('lets go of every image that is not in use', async () => {
    const asked: GarbageThresholds[] = [];
    const imageGarbage = collector(asked);
    await using lab = await createNodeLab({}, { measureDisk: diskWith(() => 0.01), imageGarbage });
    await lab.settle(15_000);
    assert.deepEqual(asked, [{ highPercent: 0, lowPercent: 0, minAgeMs: 120_000 }]);
    await lab.settle(60_000);
    assert.equal(asked.length, 2);
  });
});

describe('room for images', () => {
  test("is looked for every five minutes by the kubelet's marks", async () => {
    const asked: GarbageThresholds[] = [];
    const imageGarbage = collector(asked);
    await using lab = await createNodeLab({}, { measureDisk: diskWith(() => 0.5), imageGarbage });
    await lab.settle(4 * 60_000);
    assert.deepEqual(asked, [{ highPercent: 85, lowPercent: 80, minAgeMs: 120_000 }]);
    await lab.settle(75_000);
    assert.equal(asked.length, 2);
    assert.deepEqual((await nodeEvents(lab)).map(({ reason }) => reason).sort(), ['RegisteredNode']);
  });

  test('that cannot be made is told on the Node: too little at once, a failure when it was not the first', async () => {
    const disk = { usedBytes: 90 * gib, capacityBytes: 100 * gib };
    const tooLittle = { removed: ['a'], wantedBytes: 10 * gib, freedBytes: gib, disk };
    await using lab = await createNodeLab(
      {},
      { measureDisk: diskWith(() => 0.5), imageGarbage: { collectGarbage: async () => tooLittle } },
    );
    const reasons = async () => (await nodeEvents(lab)).map(({ reason }) => reason);
    await lab.wait('the event', async () => (await reasons()).includes('FreeDiskSpaceFailed'), 30_000);
    assert.ok(!(await reasons()).includes('ImageGCFailed'));
    await lab.wait('the failure', async () => (await reasons()).includes('ImageGCFailed'), 6 * 60_000);
    const event = (await nodeEvents(lab)).find(({ reason }) => reason === 'FreeDiskSpaceFailed');
    assert.match(event?.message ?? '', /\(90% of 100\.0 GiB used\).*freed 1073741824 bytes/);
    assert.equal(event?.involvedObject.uid, 'node-1');
    assert.equal(event?.count, 2);
  });

  test('was enough when as much was given back as had to be', () => {
    const disk = { usedBytes: 90, capacityBytes: 100 };
    assert.equal(shortageOf({ removed: [], wantedBytes: 0, freedBytes: 0, disk }), undefined);
    assert.equal(shortageOf({ removed: ['a'], wantedBytes: 10, freedBytes: 10, disk }), undefined);
    assert.match(shortageOf({ removed: ['a'], wantedBytes: 10, freedBytes: 9, disk }) ?? '', /^Insufficient free disk/);
  });
});
