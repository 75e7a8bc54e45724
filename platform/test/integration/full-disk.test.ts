/** A Pod that writes more than the node's disk has room for: it stands still, says so where its owner looks, and loses nothing once there is room. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { Event as KubeEvent } from 'kubernetes-types/core/v1.js';
import { command } from './support/command.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { createPod, deletePod, isReady, podWhere, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';

let instance: TestInstance;
let scratch: string;

async function mount(...args: string[]): Promise<void> {
  const { code, stderr } = await command('mount', args);
  assert.equal(code, 0, stderr);
}

before(async () => {
  instance = await startInstance('full');
  await loadDemoImage(instance);
  // The disks of Pods on a file system of their own, so that nothing else runs full with them.
  scratch = join(instance.home, 'scratch');
  mkdirSync(scratch, { recursive: true });
  await mount('-t', 'tmpfs', '-o', 'size=32m', 'sampan-full', scratch);
});
after(async () => {
  await command('umount', ['-l', scratch]);
  await instance?.stop();
});

/** The node looks at a Pod every 20 seconds, and at once when the Pod changes. */
async function lookNow(): Promise<void> {
  const type = 'application/merge-patch+json' as const;
  const changed = { metadata: { annotations: { looked: String(looks) } } };
  await instance.client.patch(resources.pods, 'writes', changed, { namespace: 'default', type });
}
let looks = 0;

async function told(reason: string): Promise<KubeEvent | undefined> {
  if (looks++ % 20 === 0) await lookNow();
  const { items } = await instance.client.list<KubeEvent & KubeObject>(resources.events, { namespace: 'default' });
  return items.find((event) => event.reason === reason && event.involvedObject.name === 'writes');
}

test('a Pod stands still when its disk finds no room on the node, says so, and goes on when there is', async () => {
  const { client } = instance;
  const script = 'dd if=/dev/zero of=/big bs=1M count=64 conv=fsync 2>/dev/null && wc -c </big && exec sleep 1000';
  await createPod(client, shellPod('writes', script));
  await isReady(client, 'writes');
  const event = await until('the event', () => told('MachineStandsStill'));
  assert.equal(event.type, 'Warning');
  assert.ok(event.message?.includes(`a file in ${scratch} on the node, finds no room there`), event.message);
  await podWhere(client, 'writes', 'standing still', ({ status }) =>
    Boolean(status?.conditions?.some(({ type, status: is }) => type === 'sampan.dev/StandsStill' && is === 'True')),
  );
  await mount('-o', 'remount,size=512m', scratch);
  await until('all that was written', async () => {
    const { stdout } = await instance.sampan(['logs', 'writes']);
    return stdout.trim() === String(64 << 20);
  });
  await until('that it was told', () => told('MachineGoesOn'));
  await deletePod(client, 'writes');
});
