/**
 * Limits of a bundle's container on the host's own kernel: they are in the control group that linux.cgroupsPath names, as of any OCI runtime, and go with it,
 * however it and the service end.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { CgroupTree } from './support/cgroup-tree.ts';
import { FaultyOci } from './support/faulty-oci.ts';
import { missingForPodman } from './support/podman-lab.ts';
import { until } from './support/wait.ts';

const mib = 1024 * 1024;
const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

describe("limits of a container on the host's kernel", { skip: missingForPodman() }, () => {
  let faulty: FaultyOci;
  let tree: CgroupTree;
  before(async () => {
    faulty = await FaultyOci.open('namespace');
    tree = await CgroupTree.make();
  });
  afterEach(() => faulty.clear());
  after(async () => {
    await faulty?.[Symbol.asyncDispose]();
    await tree?.[Symbol.asyncDispose]();
  });

  const group = () => join(tree.path, 'deep/box');
  const holder = async (id: string) => Number(await readFile(join(faulty.home, id, 'pid'), 'utf8'));

  async function create(
    id: string,
    cgroupsPath: string,
    script = 'sleep 1000 & wait',
  ): Promise<{ code: number | null; stderr: string }> {
    const bundle = join(faulty.home, id);
    await mkdir(bundle, { recursive: true });
    const config = {
      ociVersion: '1.0.2',
      process: { args: ['/bin/sh', '-c', script], env: ['PATH=/bin'], cwd: '/' },
      root: { path: join(faulty.home, 'rootfs') },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
      linux: {
        namespaces,
        cgroupsPath,
        resources: {
          memory: { limit: 64 * mib },
          pids: { limit: 77 },
          cpu: { quota: 30_000, period: 60_000, cpus: '0' },
        },
      },
      annotations: { 'sampan.dev/handler': 'namespace' },
    };
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    const { child, output } = faulty.start(['create', '--bundle', bundle, '--pid-file', join(bundle, 'pid'), id]);
    await until('an answer', async () => child.exitCode !== null);
    return { code: child.exitCode, stderr: output.stderr };
  }

  async function stateOf(id: string): Promise<{ pid: number; status: string }> {
    const said = await faulty.call(['state', id]);
    assert.equal(said.code, 0, said.stderr);
    return JSON.parse(said.stdout);
  }

  async function remove(id: string): Promise<void> {
    const removed = await faulty.call(['delete', '--force', id]);
    assert.equal(removed.code, 0, removed.stderr);
    await faulty.forgetFiles(id);
  }

  const limits = async () =>
    tree.version === 2
      ? [
          await tree.said(group(), 'memory.max'),
          await tree.said(group(), 'pids.max'),
          await tree.said(group(), 'cpu.max'),
        ]
      : [
          await tree.said(group(), 'memory.limit_in_bytes'),
          await tree.said(group(), 'pids.max'),
          `${await tree.said(group(), 'cpu.cfs_quota_us')} ${await tree.said(group(), 'cpu.cfs_period_us')}`,
        ];

  it('are in the group that its bundle names, where its process is, and nothing else of ours', async () => {
    const { code, stderr } = await create('boxed', group().slice(1));
    assert.equal(code, 0, stderr);
    const created = await stateOf('boxed');
    assert.deepEqual([created.status, await tree.members(group())], ['created', [created.pid]]);
    assert.deepEqual(await limits(), [String(64 * mib), '77', '30000 60000']);
    assert.equal(await tree.said(group(), 'cpuset.cpus'), '0');
    assert.equal((await faulty.call(['start', 'boxed'])).code, 0);
    const running = await stateOf('boxed');
    assert.match(await readFile(`/proc/${running.pid}/status`, 'utf8'), /^NSpid:\t\d+\t\d+\t1$/m);
    await until('its program and what that started', async () => (await tree.members(group())).length === 2);
    const run = await faulty.call(['exec', 'boxed', '/bin/cat', '/proc/self/cgroup']);
    assert.match(run.stdout, /:memory:\/$|^0::\/$/m, 'further processes are in it too');
    assert.equal((await faulty.call(['update', '--pids-limit', '33', 'boxed'])).code, 0);
    assert.equal((await limits())[1], '33');
    const stats = await faulty.call(['events', '--stats', 'boxed']);
    assert.equal(JSON.parse(stats.stdout).data.pids.current, 2);
    assert.equal((await faulty.call(['pause', 'boxed'])).code, 0);
    assert.equal((await stateOf('boxed')).status, 'paused');
    process.kill(await holder('boxed'), 0);
    assert.equal((await faulty.call(['resume', 'boxed'])).code, 0);
    await remove('boxed');
    assert.deepEqual(tree.groups(), ['deep'], 'groups above it stay, as runc leaves them');
  });

  it('go when the service was killed, and the machine with it', async () => {
    assert.equal((await create('cut', group())).code, 0);
    assert.equal((await faulty.call(['start', 'cut'])).code, 0);
    const { pid } = await stateOf('cut');
    await faulty.killService();
    assert.deepEqual([(await stateOf('cut')).pid, (await limits())[1]], [pid, '77'], 'found again');
    await faulty.killService();
    const agent = Number(/^PPid:\t(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
    process.kill(agent, 'SIGKILL');
    await until('its end is known', async () => (await stateOf('cut')).status === 'stopped');
    await remove('cut');
    assert.deepEqual(tree.groups(), ['deep']);
  });

  it('are not laid upon others: a group in which processes live is refused, and these live on', async () => {
    await tree.add('taken');
    const other: ChildProcess = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const place = join(tree.memory(join(tree.path, 'taken')), 'cgroup.procs');
    try {
      await writeFile(place, String(other.pid));
      const { code, stderr } = await create('lodger', join(tree.path, 'taken'));
      assert.equal(code, 1);
      assert.match(stderr, /control group \/lab-[0-9a-f]+\/taken has processes of others/);
      assert.equal(other.exitCode, null);
    } finally {
      other.kill('SIGKILL');
      await until('its end', async () => other.signalCode !== null);
    }
  });
});
