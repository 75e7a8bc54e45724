import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMeasuredNode, type MeasuredNode } from '../../../test/fixtures/measured-node.ts';
import { FakeClock } from '../../base/clock.ts';
import { NodeUsages } from './node-usages.ts';

const pod = { namespace: 'default', name: 'web', uid: 'u1' };

function world(names: string[]) {
  const clock = new FakeClock();
  const nodes = new Map(names.map((name) => [name, createMeasuredNode(name)]));
  for (const node of nodes.values()) node.pods = [{ pod, containers: [{ name: 'web', nanoCores: 5, bytes: 7 }] }];
  const local = createMeasuredNode('ours');
  const usages = new NodeUsages({
    local: () => local.gateway,
    localNode: 'ours',
    gatewayOf: (name) => nodes.get(name)?.gateway,
    clock,
  });
  const of = (...wanted: string[]) => usages.of(new Set(wanted));
  const node = (name: string): MeasuredNode => nodes.get(name)!;
  return { clock, node, local, of };
}

test('a kubelet is asked once for figures of its own reckoning, and not again within a second', async () => {
  const { clock, node, of } = world(['a', 'b']);
  const usage = (await of('a', 'ours'))('a');
  assert.deepEqual([usage?.summary.node.nodeName, usage?.windowMs, node('a').asked], ['a', 10_000, 1]);
  await of('a');
  assert.equal(node('a').asked, 1);
  await clock.advance(1_100);
  await of('a');
  assert.deepEqual([node('a').asked, node('b').asked], [2, 0]);
});

test('a node that does not answer keeps nobody from the others, and is left alone for a minute', async () => {
  const { clock, node, of } = world(['well', 'dead']);
  node('dead').answer = () => new Promise(() => {});
  const first = of('dead', 'well');
  await clock.advance(10_000);
  const found = await first;
  assert.equal(found('dead'), undefined);
  assert.equal(found('well')?.summary.node.nodeName, 'well');
  await clock.advance(2_000);
  assert.equal((await of('dead', 'well'))('dead'), undefined, 'at once');
  await assert.rejects(of('dead'), { reason: 'Timeout' }, 'where there is nobody else');
  assert.equal(node('dead').asked, 1);
  delete node('dead').answer;
  await clock.advance(60_000);
  assert.ok((await of('dead'))('dead'));
});

test('many nodes are asked side by side, and not all at once', async () => {
  const names = Array.from({ length: 30 }, (_, i) => `n${i}`);
  const { node, of } = world(names);
  let [now, most] = [0, 0];
  for (const name of names)
    node(name).answer = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return { node: { nodeName: name }, pods: null };
    };
  const found = await of(...names);
  assert.ok(names.every((name) => found(name)?.summary.pods.length === 0));
  assert.ok(most > 1 && most <= 8, String(most));
});
