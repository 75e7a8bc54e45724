/**
 * Many Pods on a runtime that fails, stalls and loses machines, under a server that is killed again and again. When the storm is over,
 * every Pod has become what its spec says, nothing ran twice at a time, and deleting them leaves nothing. A failure names its seed:
 * run it again with SAMPAN_SEED.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { createNodeLab, type NodeLab } from '../fixtures/node/node-lab.ts';

const rounds = 4;
const podCount = 8;
const image = 'web:1';

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Wanted = 'Running' | 'Succeeded' | 'Failed';

function podSpec(index: number): { spec: Partial<Pod['spec']> & object; wanted: Wanted } {
  const initContainers = [
    { name: 'side', image, restartPolicy: 'Always' },
    { name: 'first', image },
  ];
  const withInit = index % 2 === 0 ? { initContainers } : {};
  const kinds: [string, Wanted][] = [
    ['Always', 'Running'],
    ['OnFailure', 'Succeeded'],
  ];
  const [restartPolicy, wanted] = kinds[index % kinds.length]!;
  return { spec: { restartPolicy, terminationGracePeriodSeconds: 3, ...withInit }, wanted };
}

async function storm(lab: NodeLab, random: () => number): Promise<void> {
  for (let gust = 0; gust < 6; gust++) {
    lab.killAt(Math.floor(random() * 25), random() < 0.5 ? 'before' : 'after');
    await lab.settle(500 + Math.floor(random() * 8000));
    if (random() < 0.5) lab.runtime.killMachine(`pod-${Math.floor(random() * podCount)}`);
    await lab.settle(2500);
  }
}

async function round(seed: number): Promise<void> {
  const random = randomFrom(seed);
  let stormy = true;
  await using lab = await createNodeLab({
    script: ({ pod, container, attempt }) => {
      if (container === 'first') return { afterMs: 300 };
      if (container === 'side') return {};
      const { wanted } = podSpec(Number(pod.split('-')[1]));
      return wanted === 'Running' ? {} : { afterMs: 700, exitCode: attempt < 2 ? 1 : 0 };
    },
    before: async (call) => {
      if (!stormy) return;
      if (random() < 0.08) throw new SampanError('InternalError', `${call} fails in the storm`);
      if (random() >= 0.05) return;
      const life = lab.life();
      await lab.clock.sleep(Math.floor(random() * 3000));
      // The runtime lives in the server: what it had not done when that died, it never does.
      if (life.dead) await new Promise(() => {});
    },
  });
  for (let index = 0; index < podCount; index++) await lab.run(`pod-${index}`, podSpec(index).spec);
  await storm(lab, random);
  stormy = false;
  for (let index = 0; index < podCount; index++)
    await lab.until(`pod-${index}`, (pod) => pod?.status?.phase === podSpec(index).wanted && settled(pod), 900_000);
  assert.deepEqual(lab.runtime.faults, []);
  for (let index = 0; index < podCount; index++)
    await lab.client.delete(resources.pods, `pod-${index}`, { namespace: 'default' });
  await lab.wait(
    'nothing is left',
    async () => {
      const { items } = await lab.client.list(resources.pods, { namespace: 'default' });
      return items.length === 0 && lab.runtime.sandboxes.size === 0 && lab.runtime.containers.size === 0;
    },
    300_000,
  );
  assert.deepEqual(lab.runtime.faults, []);
}

/** Not in the middle of a restart. */
const settled = (pod: Pod): boolean =>
  (pod.status?.containerStatuses ?? []).every(
    ({ state }) => state?.running !== undefined || state?.terminated?.exitCode === 0,
  );

test('what the storm leaves is what the Pods ask for', { timeout: 300_000 }, async () => {
  const first = Number(process.env.SAMPAN_SEED ?? randomInt(2 ** 31));
  for (let count = 0; count < (process.env.SAMPAN_SEED ? 1 : rounds); count++) {
    const seed = first + count;
    await round(seed).catch((error) => {
      throw new Error(`SAMPAN_SEED=${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    });
  }
});
