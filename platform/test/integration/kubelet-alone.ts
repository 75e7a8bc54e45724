/** A real kubelet alone: a static Pod, what can be done to it, and what dies under it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from '../../src/base/child.ts';
import { freePort } from '../fixtures/free-port.ts';
import type { CgroupTree } from './support/cgroup-tree.ts';
import type { CriLab } from './support/cri-lab.ts';
import { Kubelet, type KubeletPod } from './support/kubelet-lab.ts';
import { webPod } from './support/kubelet-pods.ts';
import { type KubeletWorld, kubeletBinary, newKubeletWorld, podGroups, stopped } from './support/kubelet-world.ts';
import { until } from './support/wait.ts';

export async function alone(t: TestContext): Promise<void> {
  await using lab = await newKubeletWorld();
  const { cri, home, cgroups } = lab;
  const kubelet = new Kubelet({
    cgroupRoot: cgroups.path,
    directory: join(home, 'kubelet'),
    binary: kubeletBinary,
    criSocket: cri.socketPath,
    port: await freePort(),
  });
  await kubelet.start();
  try {
    const pod = await servesItsPod(t, lab, kubelet);
    const again = await beginsAgain(kubelet, pod.metadata.name);
    await outlivesItsParts(cri, kubelet, again);
    await kubelet.manifest('web', undefined);
    await stopped(cri);
    await until("the Pod's control group is gone", async () => podGroups(cgroups).length === 0);
  } catch (error) {
    t.diagnostic(await kubelet.tail());
    throw error;
  } finally {
    await kubelet.stop();
  }
  assert.equal(existsSync(kubelet.directory), false);
}

/** The Pod of a manifest, once it is as `probe` wants it: kubelet adds its node's name to that of a static one. */
const podWhere = (kubelet: Kubelet, name: string, what: string, probe: (pod: KubeletPod) => boolean) =>
  until(
    `${name} ${what}`,
    async () => {
      const found = (await kubelet.pods()).find(({ metadata }) => metadata.name.replace(/-kubelet$/, '') === name);
      return found && probe(found) ? found : undefined;
    },
    120_000,
  );

const ready = (pod: KubeletPod): boolean =>
  (pod.status?.containerStatuses ?? []).length > 0 && pod.status!.containerStatuses!.every((one) => one.ready);

const statusOf = (pod: KubeletPod, name = 'main') => pod.status!.containerStatuses!.find((one) => one.name === name)!;

/** Its containers, volumes, probes and statistics, and what can be done to them. */
async function servesItsPod(
  t: TestContext,
  { home, image, cgroups }: KubeletWorld,
  kubelet: Kubelet,
): Promise<KubeletPod> {
  const shared = join(home, 'shared');
  await run('mkdir', [shared]);
  await writeFile(join(shared, 'from-host'), 'of the host');
  const begin = performance.now();
  await kubelet.manifest('web', webPod(image, shared));
  const pod = await podWhere(kubelet, 'web', 'is ready', ready);
  t.diagnostic(`ready ${Math.round(performance.now() - begin)} ms after its manifest`);
  const { name } = pod.metadata;
  assert.match(await kubelet.log(name), /^of the host\nstarted\n/m);
  assert.equal((await readFile(join(shared, 'from-pod'), 'utf8')).trim(), 'back');
  const beside = await kubelet.exec(name, ['cat', '/cache/kept'], { container: 'beside' });
  assert.deepEqual(beside, { stdout: 'kept\n', stderr: '', code: 0 });
  const told = await kubelet.exec(name, ['sh', '-c', 'cat; echo wrong >&2; exit 7'], { stdin: 'words' });
  assert.deepEqual(told, { stdout: 'words', stderr: 'wrong\n', code: 7 });
  assert.match(await kubelet.attach(name, (text) => /tick\d+\n/.test(text)), /tick\d+/);
  assert.match(await kubelet.portForward(name, 80, 'GET / HTTP/1.0\r\n\r\n'), /HTTP\/1\.[01] 200/);
  await summaryTest(kubelet, name);
  await beneathItsPod(cgroups, pod);
  return pod;
}

/** A container that its probe finds dead is made anew, beside one that goes on. */
async function beginsAgain(kubelet: Kubelet, name: string): Promise<KubeletPod> {
  await kubelet.exec(name, ['touch', '/tmp/sick']);
  const hasBegunAgain = (pod: KubeletPod) => ready(pod) && statusOf(pod).restartCount === 1;
  const again = await podWhere(kubelet, 'web', 'has begun again', hasBegunAgain);
  assert.equal(statusOf(again, 'beside').restartCount, 0);
  const kept = { stdout: 'kept\n', stderr: '', code: 0 };
  assert.deepEqual(await kubelet.exec(name, ['cat', '/cache/kept']), kept, 'an emptyDir outlives its containers');
  return again;
}

/** The runtime's process and kubelet itself are killed and started again: no container notices. */
async function outlivesItsParts(cri: CriLab, kubelet: Kubelet, pod: KubeletPod): Promise<void> {
  const lives = ({ status }: KubeletPod) =>
    status!.containerStatuses!.map(({ containerID, restartCount }) => [containerID, restartCount]);
  await cri.end('SIGKILL');
  await cri.start();
  await until('exec works again', async () => (await kubelet.exec(pod.metadata.name, ['true'])).code === 0);
  assert.deepEqual(lives(await podWhere(kubelet, 'web', 'is ready still', ready)), lives(pod));
  await kubelet.end('SIGKILL');
  await kubelet.start();
  assert.deepEqual(lives(await podWhere(kubelet, 'web', 'is found again', ready)), lives(pod));
}

/** A Pod's processes are in the group that kubelet bounds the Pod by. */
async function beneathItsPod(cgroups: CgroupTree, { metadata: { uid } }: KubeletPod): Promise<void> {
  const group = podGroups(cgroups).find((path) => path.endsWith(`/pod${uid}`));
  assert.ok(group, `kubelet made ${podGroups(cgroups).join(' ')}`);
  const path = join(cgroups.path, group);
  assert.ok((await cgroups.members(path)).length > 0);
  assert.ok((await cgroups.memoryBytes(path)) > 16 * 1024 * 1024, 'what its machine uses counts for the Pod');
}

interface Summary {
  pods?: {
    podRef: { name: string };
    cpu?: { usageCoreNanoSeconds?: number };
    memory?: { workingSetBytes?: number };
    network?: { name?: string; rxBytes?: number };
    containers?: { name: string; cpu?: { usageCoreNanoSeconds?: number }; memory?: { workingSetBytes?: number } }[];
    volume?: { name: string }[];
  }[];
}

async function summaryTest(kubelet: Kubelet, name: string): Promise<void> {
  const pod = await until('its statistics', async () => {
    const { pods = [] } = JSON.parse(await kubelet.get('/stats/summary')) as Summary;
    const found = pods.find(({ podRef }) => podRef.name === name);
    return found?.containers?.length === 2 && found.memory?.workingSetBytes ? found : undefined;
  });
  assert.ok(pod.cpu!.usageCoreNanoSeconds! > 0);
  for (const container of pod.containers!) assert.ok(container.memory!.workingSetBytes! > 0, container.name);
  assert.equal(pod.network?.name, 'eth0');
  assert.ok(pod.network!.rxBytes! > 0);
}
