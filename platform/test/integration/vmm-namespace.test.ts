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
import { guestDirectory, missingVmmParts } from './support/vmm-lab.ts';

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
