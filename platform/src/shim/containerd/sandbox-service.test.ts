import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { FakeNetwork, newFakeNetworkState } from '../../network/fake/fake-network.ts';
import { FakeAgents } from '../../runtime/agent/fake-agent.ts';
import type { BundleRuntime } from '../../runtime/bundles/bundle-runtime.ts';
import { createBundleRuntime } from '../../runtime/bundles/create-bundle-runtime.ts';
import { NamespaceMode } from '../../runtime/generated/cri.ts';
import { FakeHost } from '../../vmm/fake/fake-host.ts';
import { FakeVmm } from '../../vmm/fake/fake-vmm.ts';
import { podConfigMessage } from './pod-config.ts';
import * as messages from './sandbox-messages.ts';
import { sandboxMethods } from './sandbox-service.ts';

const bundlePath = '/run/containerd/sandbox/pod';

class World implements AsyncDisposable {
  readonly host = new FakeHost();
  readonly network = new FakeNetwork({ state: newFakeNetworkState() });
  readonly bundles: BundleRuntime;
  readonly #directory: string;
  readonly #methods;

  constructor(directory: string) {
    this.#directory = directory;
    this.bundles = this.#runtime();
    const whose = { door: '0123abcd', namespace: 'k8s.io', handler: 'vm' as const, canJoinNetns: true };
    this.#methods = sandboxMethods({ ...whose, bundles: this.bundles, clock: systemClock });
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'sandboxes-')));
    await world.network.start();
    await world.bundles.recover();
    return world;
  }

  #runtime(): BundleRuntime {
    return createBundleRuntime({
      vmms: { vm: new FakeVmm(this.host) },
      network: this.network,
      joinNetns: {
        attach: async ({ id }) => ({
          sandboxId: id,
          tapName: 'tap0',
          mac: '02:00:00:00:00:01',
          mtu: 1500,
          ipv4: { address: '10.88.0.2', prefixLength: 16 },
          nameservers: [],
        }),
        adopt: async () => {},
        detach: async () => {},
      },
      connectAgent: new FakeAgents().connect,
      run: this.#directory,
      log: silentLogger,
      mounts: {
        prepare: async (share) => void (await mkdir(share, { recursive: true })),
        bind: async () => {},
        release: async () => {},
      },
    });
  }

  call(method: string, payload = messages.sandboxRequest.encode({ sandboxId: 'pod' })): Promise<Buffer> {
    const handler = this.#methods.get(`containerd.runtime.sandbox.v1.Sandbox/${method}`);
    assert.ok(handler, method);
    return handler({ payload, signal: new AbortController().signal });
  }

  create(config: Parameters<typeof podConfigMessage.encode>[0] = {}): Promise<Buffer> {
    const options = { typeUrl: 'runtime.v1.PodSandboxConfig', value: podConfigMessage.encode(config) };
    return this.call(
      'CreateSandbox',
      messages.createSandboxRequest.encode({ sandboxId: 'pod', bundlePath, options, netnsPath: '/run/netns/pod' }),
    );
  }

  async status() {
    return messages.sandboxStatusResponse.decode(await this.call('SandboxStatus'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bundles.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

test('a Pod is a machine from Create to Shutdown, and each call may be repeated', async () => {
  await using world = await World.create();
  await world.create({ hostname: 'web' });
  await world.create({ hostname: 'web' });
  assert.equal(world.host.machines.size, 1);
  const { pid } = messages.startSandboxResponse.decode(await world.call('StartSandbox'));
  assert.ok(pid > 0);
  await world.call('PingSandbox');
  const { platform } = messages.platformResponse.decode(await world.call('Platform'));
  assert.equal(platform?.os, 'linux');
  assert.deepEqual([(await world.status()).state, (await world.status()).pid], ['SANDBOX_READY', pid]);

  const ended = world.call('WaitSandbox');
  await world.call('StopSandbox');
  await world.call('StopSandbox');
  const { exitStatus, exitedAt } = messages.waitSandboxResponse.decode(await ended);
  assert.equal(exitStatus, 0);
  assert.ok(exitedAt!.seconds! > 1_600_000_000n);
  assert.equal(world.host.machines.size, 0);
  assert.equal((await world.status()).state, 'SANDBOX_NOTREADY');
  await assert.rejects(world.call('PingSandbox'), { reason: 'FailedPrecondition' });

  await world.call('ShutdownSandbox');
  await world.call('ShutdownSandbox');
  await assert.rejects(world.status(), { reason: 'NotFound' });
});

test('a machine that dies ends its Pod with 137', async () => {
  await using world = await World.create();
  await world.create();
  const ended = world.call('WaitSandbox');
  const [directory] = world.host.machines.keys();
  world.host.remove(directory!, 'killed');
  assert.equal(messages.waitSandboxResponse.decode(await ended).exitStatus, 137);
  assert.equal((await world.status()).state, 'SANDBOX_NOTREADY');
});

test('what a machine cannot be is refused by name, and nothing is left of it', async () => {
  await using world = await World.create();
  const config = { linux: { securityContext: { namespaceOptions: { network: NamespaceMode.NODE } } } };
  await assert.rejects(world.create(config), { reason: 'Unsupported', message: /hostNetwork/ });
  const other = { typeUrl: 'example.com/Other', value: Buffer.from('x') };
  const request = messages.createSandboxRequest.encode({ sandboxId: 'pod', bundlePath, options: other });
  await assert.rejects(world.call('CreateSandbox', request), { reason: 'Unsupported', message: /example\.com/ });
  assert.equal(world.host.machines.size, 0);
  assert.deepEqual(world.bundles.listSandboxes(), []);
});

test('its metrics are those of its containers together', async () => {
  await using world = await World.create();
  await world.create();
  const { metrics } = messages.sandboxMetricsResponse.decode(await world.call('SandboxMetrics'));
  assert.deepEqual([metrics?.id, metrics?.data?.typeUrl], ['pod', 'io.containerd.cgroups.v2.Metrics']);
});
