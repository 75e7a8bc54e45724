/** The control group that a sandbox's configuration names, as kubelet makes one for each Pod: everything of the sandbox is beneath it, under both handlers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { instanceFromEnvironment } from '../../src/base/config.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { CgroupTree } from './support/cgroup-tree.ts';
import { CriLab, missingForCri, smallLinux } from './support/cri-lab.ts';
import { cgroups } from './support/leak-sweep.ts';
import { until } from './support/wait.ts';

const mib = 1024 * 1024;

describe('a cgroup parent', { skip: missingForCri() }, () => {
  let lab: CriLab;
  let registry: Registry;
  let image: string;
  let tree: CgroupTree;
  let instance: { run: string; tag: string };

  before(async () => {
    registry = await startRegistry({});
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('cri-cgroups', { SAMPAN_POOL: '1' });
    tree = await CgroupTree.make();
    instance = instanceFromEnvironment(lab.env);
    await lab.client.pullImage({ image: { image } });
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
    await registry?.stop();
    await tree?.[Symbol.asyncDispose]();
  });

  const run = async (name: string, runtimeHandler: string, cgroupParent: string) => {
    const config = lab.sandboxConfig(name, { linux: { ...smallLinux, cgroupParent } });
    const { podSandboxId } = await lab.client.runPodSandbox({ config, runtimeHandler });
    return podSandboxId!;
  };
  /** Processes of this instance's machines that a limit of the parent would miss; what waits in stock is nobody's. */
  const strays = async () => {
    const beneath = new Set(await tree.members());
    const files = (await readdir(instance.run, { recursive: true })).filter(
      (name) => basename(name) === 'pid' && !/(^|\/)(pool|parked|templates)\//.test(name),
    );
    const pids = await Promise.all(files.map((name) => readFile(join(instance.run, name), 'utf8')));
    assert.ok(pids.length > 0);
    return pids.map((text) => Number.parseInt(text, 10)).filter((pid) => !beneath.has(pid));
  };

  for (const handler of ['vm', 'namespace'])
    it(`holds the processes and the memory of a ${handler} sandbox, through a restart, and is left empty`, async () => {
      const parent = await tree.add(handler);
      const id = await run(`beneath-${handler}`, handler, parent);
      const held = `dd if=/dev/zero of=/held/file bs=1M count=40 2>/dev/null`;
      const script = `mkdir /held; mount -t tmpfs held /held; ${held}; echo held; exec sleep 1000`;
      const containerId = await lab.container(id, 'main', {
        ...{ image, script },
        linux: { securityContext: { privileged: true } },
      });
      const log = join(lab.logDirectory(`beneath-${handler}`), 'main.log');
      await until('it holds its memory', async () => (await readFile(log, 'utf8')).includes('held'));
      assert.ok((await tree.memoryBytes(parent)) > 40 * mib);
      assert.ok((await tree.members(parent)).length > 0);
      assert.deepEqual(await strays(), []);
      if (handler === 'namespace') {
        const names = (await tree.members(parent)).map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
        assert.ok(names.includes('sleep'), names.join(' '));
      }
      const { stats } = await lab.client.podSandboxStats({ podSandboxId: id });
      assert.ok((stats?.linux?.memory?.workingSetBytes?.value ?? 0n) > 40n * BigInt(mib));
      assert.ok((stats?.linux?.cpu?.usageCoreNanoSeconds?.value ?? 0n) > 0n);

      await lab.end('SIGKILL');
      await lab.start();
      const { stdout } = await lab.client.execSync({ containerId, cmd: ['echo', 'still'], timeout: 10n });
      assert.equal(String(stdout), 'still\n');
      await lab.client.stopPodSandbox({ podSandboxId: id });
      assert.deepEqual([await tree.members(parent), tree.groups(parent)], [[], []]);
      await lab.client.removePodSandbox({ podSandboxId: id });
      assert.deepEqual(
        cgroups(instance).filter((path) => path.includes(parent)),
        [],
      );
    });

  it('takes a machine from stock, too', async () => {
    const parent = await tree.add('stock');
    const before = (await lab.log()).length;
    // The first of its shape has one parked behind it, some seconds later.
    const id = await until('a machine came from stock', async () => {
      const next = await run('stock', 'vm', parent);
      if (/"origin":"pool"/.test((await lab.log()).slice(before))) return next;
      await lab.client.removePodSandbox({ podSandboxId: next });
    });
    assert.deepEqual(await strays(), []);
    assert.equal((await tree.members(parent)).length, 1);
    await lab.client.removePodSandbox({ podSandboxId: id });
    assert.deepEqual([await tree.members(parent), tree.groups(parent)], [[], []]);
  });

  it("of systemd's is refused by name, and nothing is made", async () => {
    await assert.rejects(run('slice', 'vm', 'kubepods-besteffort-pod1.slice'), /UNIMPLEMENTED: .*slice of systemd's/);
    await assert.rejects(run('outside', 'namespace', '/../x'), /INVALID_ARGUMENT: .*no path of a control group/);
    const { items = [] } = await lab.client.listPodSandbox({});
    assert.deepEqual(items, []);
  });
});
