/** Statistics over CRI against what a container is known to have done, under both handlers. */
import assert from 'node:assert/strict';
import { readdir, statfs } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { CriLab, missingForCri, smallLinux } from './support/cri-lab.ts';
import { until } from './support/wait.ts';

const mib = 1024 * 1024;

/** Holds 40 MiB in memory of its own, has written 20 MiB into its root, then burns CPU for a second. */
const script = `dd if=/dev/urandom of=/written bs=1M count=20 2>/dev/null; sync
dd if=/dev/zero bs=40M count=1 2>/dev/null | { dd of=/dev/null bs=40M count=1 iflag=fullblock 2>/dev/null; }
mkdir -p /held; mount -t tmpfs held /held && dd if=/dev/zero of=/held/file bs=1M count=40 2>/dev/null
end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do :; done
cat /proc/$$/stat >/stat; sleep 1000`;

/** CPU time of the script and its children, proc(5): fields 14 to 17 in hundredths of a second. */
const secondsOf = (stat: string) =>
  stat
    .split(' ')
    .slice(13, 17)
    .reduce((sum, ticks) => sum + Number(ticks), 0) / 100;

describe('statistics', { skip: missingForCri() }, () => {
  let lab: CriLab;
  let registry: Registry;
  let image: string;

  before(async () => {
    registry = await startRegistry({});
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('cri-stats');
    await lab.client.pullImage({ image: { image } });
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
    await registry?.stop();
  });

  for (const runtimeHandler of ['vm', 'namespace'])
    it(`under ${runtimeHandler} tell the memory, CPU and disk that a container has used, and what it has left`, async () => {
      const config = lab.sandboxConfig(`stats-${runtimeHandler}`, { linux: smallLinux });
      const { podSandboxId } = await lab.client.runPodSandbox({ config, runtimeHandler });
      const limit = 96 * mib;
      const containerId = await lab.container(podSandboxId!, 'busy', {
        image,
        script,
        linux: {
          resources: { memoryLimitInBytes: BigInt(limit) },
          securityContext: { privileged: true },
        },
      });
      const done = async () => {
        const { stdout } = await lab.client.execSync({ containerId, cmd: ['sh', '-c', 'pidof sleep'], timeout: 10n });
        return String(stdout ?? '').trim() !== '' ? true : undefined;
      };
      await until('the container has done its work', done, 60_000);
      const { stats } = await lab.client.containerStats({ containerId });
      const { cpu, memory, writableLayer } = stats!;
      const between = (what: string, value: bigint | undefined, least: number, most: number) =>
        assert.ok(Number(value) >= least && Number(value) <= most, `${what}: ${value}, wanted ${least} to ${most}`);
      const said = await lab.client.execSync({ containerId, cmd: ['cat', '/stat'], timeout: 10n });
      const seconds = secondsOf(String(said.stdout));
      // The kernel samples what a process has used, and counts what its group has.
      between('CPU', cpu?.usageCoreNanoSeconds?.value, seconds * 0.6e9 - 0.2e9, seconds * 1.6e9 + 2e9);
      between('working set', memory?.workingSetBytes?.value, 40 * mib, limit);
      between('usage', memory?.usageBytes?.value, Number(memory?.workingSetBytes?.value), limit);
      assert.equal(Number(memory?.availableBytes?.value), limit - Number(memory?.workingSetBytes?.value));
      between('writable layer', writableLayer?.usedBytes?.value, 20 * mib, 21 * mib);
      between('inodes of the layer', writableLayer?.inodesUsed?.value, 2, 20);

      const pod = (await lab.client.podSandboxStats({ podSandboxId })).stats!.linux!;
      between('the Pod’s CPU', pod.cpu?.usageCoreNanoSeconds?.value, Number(cpu?.usageCoreNanoSeconds?.value), 120e9);
      between('the Pod’s working set', pod.memory?.workingSetBytes?.value, 40 * mib, 192 * mib + 256 * mib);
      between('processes', pod.process?.processCount?.value, 1, 20);
      assert.deepEqual(
        pod.containers?.map(({ attributes }) => attributes?.id),
        [containerId],
      );
      const { containerFilesystems, imageFilesystems } = await lab.client.imageFsInfo({});
      between('scratch disks', containerFilesystems![0]!.usedBytes!.value, 20 * mib, 400 * mib);
      const images = imageFilesystems![0]!;
      const there = await readdir(images.fsId!.mountpoint!, { recursive: true });
      assert.equal(Number(images.inodesUsed?.value), there.length + 1);
      const { blocks, bfree, bsize } = await statfs(images.fsId!.mountpoint!);
      between('images', images.usedBytes?.value, 1 * mib, (blocks - bfree) * bsize);
      await lab.client.removePodSandbox({ podSandboxId });
    });
});
