/** The namespace driver on this host: the suite of vmm.ts. What Pods on it can do stands in runtime-namespace.test.ts and runtime-host.test.ts. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { createNamespaceVmm } from '../../src/vmm/namespace/namespace-vmm.ts';
import type { Machine, Vmm } from '../../src/vmm/vmm.ts';
import { suiteShape, type VmmUnderTest, vmmSuite } from '../../src/vmm/vmm-suite.ts';
import { guestDirectory } from './support/built-parts.ts';
import { missingVmmParts } from './support/vmm-lab.ts';
import { until } from './support/wait.ts';

const missing = missingVmmParts();
const log = createLogger({ level: process.env.LAB_LOG ?? 'fatal' });

async function make(): Promise<VmmUnderTest & { tag: string }> {
  const root = await mkdtemp(join(tmpdir(), 'sampan-vmm-lab-'));
  const tag = root.slice(-6).toLowerCase();
  const run = `/dev/shm/sampan-vmm-lab-${tag}`;
  const guest = await findGuestArtifacts(guestDirectory);
  const open = () => createNamespaceVmm({ run, guest, tag, log });
  let vmm: Vmm = await open();
  const directory = (name: string) => join(run, 'vm', name);
  return {
    vmm,
    tag,
    restarted: async () => {
      await vmm.close();
      vmm = await open();
      return vmm;
    },
    directory,
    disk: async (slot, mib) => {
      const path = join(root, `${slot}-${mib}.img`);
      await writeFile(path, `this is ${slot}`);
      await truncate(path, mib << 20);
      return { slot, path, readOnly: slot.startsWith('image') };
    },
    halt: () => assert.fail('it has no kernel to halt'),
    panic: () => assert.fail('it has no kernel to panic'),
    kill: async (machine: Machine) => {
      const [pid] = (await readFile(`${machine.directory}/pid`, 'utf8')).split(' ');
      process.kill(Number(pid), 'SIGKILL');
    },
    dispose: async () => {
      for (const name of await readdir(join(run, 'vm')).catch(() => [])) await vmm.destroy(directory(name));
      await vmm.teardown();
      await rm(run, { recursive: true, force: true });
      await rm(root, { recursive: true, force: true });
    },
  };
}

if (missing) {
  test('the namespace driver passes the VMM suite', (t) => t.skip(missing));
} else {
  vmmSuite('namespace', { make, hasKernel: false });

  test('a machine ends with its control groups in every hierarchy, and another driver’s machine is left alone', async () => {
    const under = await make();
    try {
      const one = await under.vmm.create({
        id: 'one',
        directory: under.directory('one'),
        shape: suiteShape,
        disks: [],
      });
      const [pid] = (await readFile(join(one.directory, 'pid'), 'utf8')).split(' ');
      const groups = (await readFile(`/proc/${pid}/cgroup`, 'utf8'))
        .split('\n')
        .filter((line) => line.includes(under.tag));
      assert.ok(groups.length > 0, 'it is in groups of its own');
      await under.vmm.destroy(one.directory);
      const roots = (await readdir('/sys/fs/cgroup')).map((name) => join('/sys/fs/cgroup', name));
      for (const root of ['/sys/fs/cgroup', ...roots])
        assert.equal(existsSync(join(root, `sampan-${under.tag}`, 'one')), false);
      const foreign = under.directory('foreign');
      await mkdir(foreign, { recursive: true });
      await writeFile(join(foreign, 'machine.json'), '{"format":1}');
      await under.vmm.destroy(foreign);
      assert.ok(existsSync(foreign));
      await rm(foreign, { recursive: true });
    } finally {
      await under.dispose();
    }
  });
}

test('a machine from stock has its own name, limits, disks and shares, and what was not used goes with the server', {
  skip: missing,
}, async () => {
  const guest = await findGuestArtifacts(guestDirectory);
  const root = await mkdtemp(join(tmpdir(), 'sampan-vmm-lab-'));
  const tag = root.slice(-6).toLowerCase();
  const run = `/dev/shm/sampan-vmm-lab-${tag}`;
  const parked = () => readdir(join(run, 'parked'));
  const isStocked = async () => {
    const [name = 'none'] = await parked();
    const text = await readFile(join(run, 'parked', name, 'machine.json'), 'utf8').catch(() => '{}');
    return JSON.parse(text).state === 'running';
  };
  const path = join(root, 'scratch.img');
  await mkdir(join(root, 'shared'));
  await writeFile(path, 'a disk');
  await truncate(path, 8 << 20);
  const spec = (id: string) => ({
    ...{ id, directory: join(run, 'vm', id), shape: suiteShape },
    disks: [{ slot: 'scratch', path, readOnly: false }],
    shares: [{ tag: 'host', directory: join(root, 'shared'), readOnly: false }],
  });
  const vmm = await createNamespaceVmm({ run, guest, tag, log, pool: 1 });
  try {
    const first = await vmm.create(spec('first'));
    await until('a machine in stock', isStocked);
    const [name] = await parked();
    const [waiting] = (await readFile(join(run, 'parked', name!, 'pid'), 'utf8')).split(' ');
    await vmm.destroy(first.directory);
    const machine = await vmm.create(spec('second'));
    assert.equal((await readFile(join(machine.directory, 'pid'), 'utf8')).split(' ')[0], waiting);
    assert.equal((await vmm.find(machine.directory))?.id, 'second');
    const record = JSON.parse(await readFile(join(machine.directory, 'machine.json'), 'utf8'));
    assert.deepEqual(record.slots, ['scratch']);
    const memory = record.cgroups.find((group: string) => existsSync(join(group, 'memory.limit_in_bytes')));
    if (memory)
      assert.equal(
        (await readFile(join(memory, 'memory.limit_in_bytes'), 'utf8')).trim(),
        String(suiteShape.memoryMib << 20),
      );
    const mounts = await readFile(`/proc/${waiting}/mountinfo`, 'utf8');
    assert.match(mounts, / \/run\/sampan\/shares\/host /);
    await until('another in stock', isStocked);
    await vmm.destroy(machine.directory);
    assert.equal(await vmm.find(machine.directory), undefined);
  } finally {
    await vmm.teardown();
    assert.deepEqual(await parked(), []);
    await rm(run, { recursive: true, force: true });
    await rm(root, { recursive: true, force: true });
  }
});
