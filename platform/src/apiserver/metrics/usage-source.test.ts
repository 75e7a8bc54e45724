import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { createMeasuredNode } from '../../../test/fixtures/measured-node.ts';
import { FakeClock } from '../../base/clock.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import { UsageSource } from './usage-source.ts';

const pod = { namespace: 'default', name: 'web', uid: 'u1' };

function world() {
  const clock = new FakeClock();
  const node = createMeasuredNode();
  node.pods = [{ pod, containers: [{ name: 'web', nanoCores: 5, bytes: 7 }] }];
  let gateway: NodeGateway | undefined = node.gateway;
  const source = new UsageSource({ gateway: () => gateway, clock });
  return {
    clock,
    node,
    source,
    leave: () => {
      gateway = undefined;
    },
    async settled() {
      const answer = source.usage();
      await clock.advance(1_000);
      return answer;
    },
  };
}

test('the first question is put twice, a second apart, for a rate needs two', async () => {
  const { clock, node, settled } = world();
  const start = clock.now();
  const usage = await settled();
  assert.equal(node.asked, 2);
  assert.deepEqual([usage.windowMs, usage.atMs], [1_000, start + 1_000]);
});

test('many clients at once, and those of the second after, share one answer', async () => {
  const { clock, node, source, settled } = world();
  const [first, second] = await Promise.all([settled(), source.usage()]);
  assert.equal(first, second);
  await clock.advance(900);
  assert.equal(await source.usage(), first);
  assert.equal(node.asked, 2);
  await clock.advance(200);
  const later = await source.usage();
  assert.equal(node.asked, 3);
  assert.equal(later.windowMs, 1_100);
});

test('after a long pause the average since then is not taken for the present', async () => {
  const { clock, node, settled } = world();
  await settled();
  await clock.advance(31_000);
  assert.equal((await settled()).windowMs, 1_000);
  assert.equal(node.asked, 4);
});

test('a container without a rate is asked about once more, and then left to the next client', async () => {
  const { clock, node, settled } = world();
  await settled();
  await clock.advance(2_000);
  node.pods = [{ pod, containers: [{ name: 'web', bytes: 7 }] }];
  const { summary } = await settled();
  assert.equal(node.asked, 4);
  assert.equal(summary.pods[0]?.containers[0]?.cpu.usageNanoCores, undefined);
});

test('an empty node is asked once and waits for nobody', async () => {
  const { node, source } = world();
  node.pods = [];
  assert.equal((await source.usage()).windowMs, 1_000);
  assert.equal(node.asked, 1);
});

test('a failure reaches those who waited for it and is forgotten', async () => {
  const { node, source, settled } = world();
  node.answer = async () => {
    throw new Error('no runtime');
  };
  const both = await Promise.allSettled([source.usage(), source.usage()]);
  assert.deepEqual(
    both.map((one) => one.status === 'rejected' && one.reason.message),
    ['no runtime', 'no runtime'],
  );
  assert.equal(node.asked, 1);
  node.answer = undefined;
  assert.equal((await settled()).summary.node.nodeName, 'lab');
});

test('a node that never answers is given up after ten seconds', async () => {
  const { clock, node, source } = world();
  node.answer = () => new Promise(() => {});
  const answer = assert.rejects(source.usage(), (error) => isReason(error, 'Timeout'));
  await clock.advance(10_000);
  await answer;
});

test('an answer that is no summary is refused, naming what is wrong with it', async () => {
  const { node, source } = world();
  node.answer = async () => ({ node: { nodeName: 'lab', cpu: { usageNanoCores: -1 }, memory: {} }, pods: [] });
  await assert.rejects(source.usage(), /stats\/summary cannot be read.*usageNanoCores/s);
});

test('without a node there are no figures, not even those of before', async () => {
  const { source, settled, leave } = world();
  await settled();
  leave();
  await assert.rejects(source.usage(), (error) => isReason(error, 'ServiceUnavailable'));
});
