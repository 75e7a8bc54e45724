/** Parked clones of the real guest that went through a rehearsal: what comes after is a machine as any other. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Logger } from '../../src/base/log.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { Agent } from '../../src/runtime/agent/agent.ts';
import { connectAgent } from '../../src/runtime/agent/agent-client.ts';
import { createRehearsal } from '../../src/runtime/rehearsal.ts';
import { ScratchDisks } from '../../src/runtime/sandbox/vm/scratch-disk.ts';
import { ociSpec } from '../../src/runtime/spec/oci-spec.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { createQemuVmm } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { Machine } from '../../src/vmm/vmm.ts';
import { guestDirectory, launcherPath } from './support/built-parts.ts';
import { missingVmmParts, VmmLab } from './support/vmm-lab.ts';

const shape = { vcpus: 1, memoryMib: 256 };
const scratchBytes: Record<string, number> = { one: 64 * 2 ** 20, two: 20 * 2 ** 30 };

test('a clone that has rehearsed becomes a machine of its own: identity, disks, a container', {
  timeout: 180_000,
}, async (t) => {
  const missing = missingVmmParts();
  if (missing) return t.skip(missing);
  const root = await mkdtemp(join(tmpdir(), 'sampan-rehearsal-lab-'));
  const tag = root.slice(-6).toLowerCase();
  const run = `/dev/shm/sampan-rehearsal-${tag}`;
  const tap = `sr${process.pid % 100_000}`;
  const started: string[] = [];
  const log: Logger = {
    ...silentLogger,
    debug: (fields) => void started.push((fields as { origin?: string }).origin ?? ''),
  };
  log.child = () => log;
  const warnings: string[] = [];
  log.warn = (fields, message) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const guest = await findGuestArtifacts(guestDirectory);
  const rehearsal = createRehearsal({ connectAgent, directory: join(run, 'rehearsal'), rootfsPath: guest.rootfsPath });
  const vmm = await createQemuVmm({ run, guest, launcherPath, tag, log, pool: 1, rehearsal });
  const scratch = new ScratchDisks(join(root, 'scratch'));
  await VmmLab.tap(tap, '10.213.78.1/24');
  try {
    const seen: string[] = [];
    for (const id of ['one', 'two']) {
      await vmm.prepareTemplate(shape);
      const machine = await vmm.create({
        id,
        directory: join(run, 'vm', id),
        shape,
        disks: [
          // Smaller and larger than the rehearsal's.
          { slot: 'scratch', path: await scratch.create(id, scratchBytes[id]!), readOnly: false },
          { slot: 'image0', path: await imageOf(root, id), readOnly: true },
        ],
        nic: { tapName: tap, mac: `02:00:00:00:00:0${id.length}` },
      });
      seen.push(await runContainer(machine, id));
      await vmm.destroy(machine.directory);
    }
    assert.deepEqual(started, ['pool', 'pool'], warnings.join('\n'));
    assert.deepEqual(seen, ['the image of one', 'the image of two']);
    await vmm.close();
    assert.deepEqual(await readdir(join(run, 'rehearsal')), [], 'the rehearsals’ disks are gone');
  } finally {
    for (const id of ['one', 'two']) await vmm.destroy(join(run, 'vm', id));
    await vmm.close();
    await VmmLab.untap(tap);
    await rm(run, { recursive: true, force: true });
    await rm(root, { recursive: true, force: true });
  }
});

/** An image that is not the one that was rehearsed with, which stood in the same slot. */
async function imageOf(root: string, id: string): Promise<string> {
  const [tree, path] = [join(root, `image-${id}`), join(root, `${id}.erofs`)];
  await mkdir(tree);
  await writeFile(join(tree, 'mark'), `the image of ${id}`);
  await copyFile('/bin/busybox', join(tree, 'busybox'));
  await promisify(execFile)('mkfs.erofs', [path, tree]);
  return path;
}

/** Sets the machine up and runs one container; gives what it said. */
async function runContainer(machine: Machine, hostname: string): Promise<string> {
  const agent = await connectAgent({
    channelPath: machine.channelPath,
    sandboxId: hostname,
    timeoutMs: 30_000,
    adopted: false,
  });
  try {
    assert.deepEqual(await agent.listContainers(), []);
    await agent.setup({
      hostname,
      machineId: randomBytes(16).toString('hex'),
      entropy: randomBytes(64).toString('base64'),
      timeUnixNanos: (BigInt(Date.now()) * 1_000_000n).toString(),
      network: {
        mac: '02:00:00:00:00:07',
        address: '10.213.78.2',
        prefixLength: 24,
        gateway: '10.213.78.1',
        mtu: 1500,
      },
      resolvConf: '',
      sysctls: {},
      sharePidNamespace: false,
      disks: ['scratch'],
    });
    const stats = await agent.stats();
    const share = stats.scratch.totalBytes / scratchBytes[hostname]!;
    assert.ok(share > 0.5 && share < 2, 'the Pod’s own scratch disk');
    assert.equal(await answerOf('10.213.78.2', 9), 'ECONNREFUSED', 'the guest answers for itself on the network');
    return await output(agent, hostname);
  } finally {
    await agent.close();
  }
}

/** The error of a connection: a guest that hears and is heard refuses it. */
function answerOf(host: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port, timeout: 20_000 });
  socket.on('connect', () => resolve('connected'));
  socket.on('timeout', () => resolve('no answer'));
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  return promise.finally(() => socket.destroy());
}

async function output(agent: Agent, hostname: string): Promise<string> {
  const config = { command: ['/busybox', 'cat', '/mark'], linux: { resources: {}, securityContext: {} } };
  const options = { image: {}, volumePaths: [], podMemoryBytes: 256 << 20, architecture: process.arch };
  const spec = ociSpec({ id: 'main', hostname, config, ...options });
  const flags = { mounts: [], readOnlyRootfs: false, tty: false, stdin: false, stdinOnce: false };
  await agent.createContainer({ id: 'main', imageSlot: 'image0', spec, ...flags });
  await agent.startContainer('main');
  let text = '';
  for await (const { data } of agent.output('main', { stdout: 0n, stderr: 0n })) text += Buffer.from(data).toString();
  return text;
}
