/** A container that is deleted together with its sandbox: what is answered when, and what a restart finds. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../../test/integration/support/wait.ts';
import { createLogger } from '../../base/log.ts';
import { FakeNetwork, newFakeNetworkState } from '../../network/fake/fake-network.ts';
import { FakeHost } from '../../vmm/fake/fake-host.ts';
import { FakeVmm } from '../../vmm/fake/fake-vmm.ts';
import { FakeAgents } from '../agent/fake-agent.ts';
import type { CreateBundleSandbox } from './bundle-runtime.ts';
import { createBundleRuntime } from './create-bundle-runtime.ts';

/** A host on which taking mounts away waits for `gate`. */
async function world() {
  const directory = await mkdtemp(join(tmpdir(), 'bundles-'));
  const [host, agents, state] = [new FakeHost(), new FakeAgents(), newFakeNetworkState()];
  const gates = [Promise.withResolvers<void>()];
  const waiting = Promise.withResolvers<void>();
  const open = async () => {
    const network = new FakeNetwork({ state });
    await network.start();
    const gate = gates.at(-1)!;
    const runtime = createBundleRuntime({
      vmms: { vm: new FakeVmm(host) },
      network,
      connectAgent: agents.connect,
      run: directory,
      log: createLogger({ level: 'fatal' }),
      mounts: {
        prepare: async (share) => void (await mkdir(share, { recursive: true })),
        bind: async () => {},
        release: () => {
          waiting.resolve();
          return gate.promise;
        },
      },
    });
    await runtime.recover();
    return runtime;
  };
  const records = () => readdir(join(directory, 'bundles/sandboxes'));
  const make = async (runtime: Awaited<ReturnType<typeof open>>, place: Pick<CreateBundleSandbox, 'cgroup'> = {}) => {
    const bundle = join(directory, 'bundle');
    await mkdir(bundle, { recursive: true });
    const namespaces = ['pid', 'mount', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type }));
    const config = { ociVersion: '1.0.2', process: { args: ['sleep'], cwd: '/' }, root: { path: 'r' } };
    await writeFile(join(bundle, 'config.json'), JSON.stringify({ ...config, linux: { namespaces } }));
    await runtime.createSandbox({ id: 'a', handler: 'vm', hostname: 'a', annotations: {}, network: 'none', ...place });
    await runtime.createContainer({ id: 'a', sandboxId: 'a', bundle, rootfs: '/rootfs', stdio: {}, tty: false });
  };
  const close = () => rm(directory, { recursive: true, force: true });
  return { host, gates, waiting: waiting.promise, open, records, make, close };
}

test('delete answers when no process is left; a new sandbox of the name waits until the rest is gone', async () => {
  const { host, gates, waiting, open, records, make, close } = await world();
  const runtime = await open();
  await make(runtime);
  await runtime.start('a');
  const exit = await runtime.delete('a', { force: true, withSandbox: true });
  assert.equal(exit.exitCode, 137);
  assert.deepEqual([runtime.list(), runtime.listSandboxes(), host.machines.size], [[], [], 0]);
  await waiting;
  assert.equal((await records()).length, 1, 'its mounts are still there');
  let again = false;
  const making = make(runtime).then(() => {
    again = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(again, false);
  gates[0]!.resolve();
  await making;
  assert.equal(runtime.listSandboxes().length, 1);
  await runtime.delete('a', { force: true, withSandbox: true });
  await runtime.close();
  assert.deepEqual(await records(), [], 'closing waits for it');
  await close();
});

test('what was answered as gone is gone after kill -9, too', async () => {
  const { host, gates, waiting, open, records, make, close } = await world();
  const runtime = await open();
  await make(runtime);
  await runtime.delete('a', { withSandbox: true });
  // The killed one writes nothing any more: it stands at its mounts for good.
  await waiting;
  assert.equal((await records()).length, 1);
  gates.push(Promise.withResolvers<void>());
  gates[1]!.resolve();
  const next = await open();
  assert.deepEqual([next.listSandboxes(), await records(), host.machines.size], [[], [], 0]);
  await next.close();
  await close();
});

test('who has named a control group is answered when that is gone, too', async () => {
  const { gates, open, records, make, close } = await world();
  const runtime = await open();
  await make(runtime, { cgroup: { path: '/team/web', isOwn: true } });
  let isAnswered = false;
  const deleting = runtime.delete('a', { withSandbox: true }).then(() => {
    isAnswered = true;
  });
  await until('only its mounts are left', async () => runtime.list().length === 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isAnswered, false);
  gates[0]!.resolve();
  await deleting;
  assert.deepEqual(await records(), []);
  await runtime.close();
  await close();
});

test('an engine that writes its usual control group is not kept waiting for it', async () => {
  const { gates, waiting, open, records, make, close } = await world();
  const runtime = await open();
  await make(runtime, { cgroup: { path: '/default/web', isOwn: true, isUsual: true } });
  await runtime.delete('a', { withSandbox: true });
  await waiting;
  assert.equal((await records()).length, 1);
  gates[0]!.resolve();
  await runtime.close();
  await close();
});
