/** A node over the real API server (memory store) and the fake runtime, by a clock that the test moves: the node's own laboratory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import type { ContainerStatus, Event as KubeEvent, Pod, PodSpec } from 'kubernetes-types/core/v1.js';
import { createApiServer } from '../../src/apiserver/api-server.ts';
import { systemUser } from '../../src/apiserver/auth/user.ts';
import { openPki } from '../../src/apiserver/pki/pki.ts';
import { FakeClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { FakeRuntime, type FakeRuntimeOptions } from '../../src/node/fake/fake-runtime.ts';
import { createNode } from '../../src/node/node.ts';
import type { Node, NodeOptions } from '../../src/node/node-options.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';

export interface NodeLab extends AsyncDisposable {
  clock: FakeClock;
  client: KubeClient;
  runtime: FakeRuntime;
  home: string;
  node: Node;
  /** A Pod of one container `web` with image `web:1`, unless `spec` says otherwise. Bound to the node. */
  run(name: string, spec?: Partial<PodSpec>, metadata?: Pod['metadata']): Promise<Pod>;
  pod(name: string): Promise<Pod | undefined>;
  /** Moves time on in small steps until `is` holds; fails with the Pod's status when it does not within `withinMs`. */
  until(name: string, is: (pod: Pod | undefined) => boolean, withinMs?: number): Promise<Pod | undefined>;
  /** The same for anything else. */
  wait(what: string, holds: () => boolean | Promise<boolean>, withinMs?: number): Promise<void>;
  status(pod: Pod | undefined, container?: string): ContainerStatus;
  events(name: string): Promise<KubeEvent[]>;
  /** Lets everything that is due now happen. */
  settle(ms?: number): Promise<void>;
  /** The server is stopped and comes again: the node forgets everything. */
  restart(): Promise<void>;
  /** The server is killed at the node's `call`-th step from now (see isStep), before or after it has taken its effect, and comes again a second later. */
  killAt(call: number, when: 'before' | 'after'): { killed: () => boolean };
}

const nodeName = 'node-1';

export async function createNodeLab(
  runtimeOptions: Partial<FakeRuntimeOptions> = {},
  nodeOptions: Partial<NodeOptions> = {},
): Promise<NodeLab> {
  const clock = new FakeClock(Date.parse('2026-01-02T03:04:05Z'));
  const home = await mkdtemp(join(tmpdir(), 'sampan-node-'));
  const api = await createApiServer({
    store: createMemoryStore(),
    kinds: allKinds,
    log: silentLogger,
    clock,
    gateway: () => undefined,
    pki: await openPki({ directory: join(home, 'pki'), addresses: [], names: [] }),
    version: { version: '0.0.0' },
  });
  const client = api.inProcess(systemUser('system:admin'));
  await client.create(resources.serviceaccounts, { metadata: { name: 'default', namespace: 'default' } });
  const runtime = new FakeRuntime({ clock, images: ['web:1'], ...runtimeOptions });
  let server = new ServerLife();
  const make = () => {
    server = new ServerLife();
    const parts = { client: server.proxy(client), runtime: server.proxy(runtime), home, clock };
    return createNode({ ...defaults(parts), ...nodeOptions });
  };
  let node = await make();
  let reborn = Promise.resolve();
  await starting(clock, node.start());

  const lab: NodeLab = {
    clock,
    client,
    runtime,
    home,
    get node() {
      return node;
    },
    run: (name, spec, metadata) =>
      client.create<Pod>(resources.pods, makePod(name, spec, metadata), { namespace: 'default' }),
    async pod(name) {
      try {
        return await client.get<Pod>(resources.pods, name, 'default');
      } catch (error) {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    async until(name, is, withinMs = 60_000) {
      for (const end = clock.now() + withinMs; ; ) {
        await lab.settle();
        const pod = await lab.pod(name);
        if (is(pod)) return pod;
        if (clock.now() >= end)
          throw new Error(`not so: ${JSON.stringify(pod?.status, undefined, 1)}\n${runtime.calls.join('\n')}`);
        await clock.advance(250);
      }
    },
    async wait(what, holds, withinMs = 60_000) {
      for (const end = clock.now() + withinMs; ; ) {
        await lab.settle();
        if (await holds()) return;
        if (clock.now() >= end) throw new Error(`not so: ${what}\n${runtime.calls.join('\n')}`);
        await clock.advance(250);
      }
    },
    status(pod, container = 'web') {
      const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod?.status ?? {};
      const all = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses];
      return all.find((status) => status.name === container)!;
    },
    async events(name) {
      await lab.settle(500);
      const { items } = await client.list<KubeEvent>(resources.events, { namespace: 'default' });
      return items.filter((event) => event.involvedObject.name === name);
    },
    async settle(ms = 0) {
      // Files are read and written by real threads, which no clock of ours moves.
      for (let round = 0; round < 3; round++) {
        await delay(1);
        await clock.advance(0);
      }
      if (ms > 0) await clock.advance(ms);
    },
    async restart() {
      await starting(clock, node.close());
      node = await make();
      await starting(clock, node.start());
    },
    killAt(call, when) {
      const life = server;
      life.killAt(call, when, () => {
        reborn = clock
          .sleep(1000)
          .then(make)
          .then(async (next) => {
            node = next;
            await next.start();
          });
      });
      return { killed: () => life.dead };
    },
    async [Symbol.asyncDispose]() {
      await starting(clock, reborn);
      await starting(clock, node.close());
      await starting(clock, api.close());
      await rm(home, { recursive: true, force: true });
    },
  };
  return lab;
}

/** One life of the server: after its death none of its calls is ever answered. */
class ServerLife {
  dead = false;
  #callsLeft = Number.POSITIVE_INFINITY;
  #when: 'before' | 'after' = 'before';
  #onDeath: () => void = () => {};

  killAt(call: number, when: 'before' | 'after', onDeath: () => void): void {
    this.#callsLeft = call;
    this.#when = when;
    this.#onDeath = onDeath;
  }

  proxy<T extends object>(target: T): T {
    const life = this;
    return new Proxy(target, {
      get(object, name) {
        const value = Reflect.get(object, name) as unknown;
        if (typeof value !== 'function') return value;
        // Streams of events are no steps, but a dead server hears no more of them.
        if (name === 'watch' || name === 'getContainerEvents') return life.#stream(value.bind(object));
        return (...args: unknown[]) => life.#call(isStep(String(name), args), () => value.apply(object, args));
      },
    });
  }

  #stream(begin: (...args: unknown[]) => AsyncIterable<unknown>) {
    const life = this;
    return async function* (...args: unknown[]) {
      for await (const event of begin(...args)) {
        if (life.dead) await never();
        yield event;
      }
    };
  }

  async #call(step: boolean, work: () => unknown): Promise<unknown> {
    if (this.dead) return never();
    const dies = step && --this.#callsLeft < 0;
    if (dies && this.#when === 'before') return this.#die();
    const answer = await work();
    if (this.dead) return never();
    return dies ? this.#die() : answer;
  }

  #die(): Promise<never> {
    if (!this.dead) {
      this.dead = true;
      this.#onDeath();
    }
    return never();
  }
}

/** Calls that change something of a Pod. */
function isStep(name: string, [ref]: unknown[]): boolean {
  if (/^(runPodSandbox|stop|remove|createContainer|startContainer|pullImage|execSync)/.test(name)) return true;
  return /^(patch|delete)$/.test(name) && (ref as { resource?: string }).resource === 'pods';
}

const never = (): Promise<never> => new Promise(() => {});

/** Moves the clock while something is under way that waits for it. */
export async function starting<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false;
  const finished = work.finally(() => {
    done = true;
  });
  finished.catch(() => {});
  while (!done) {
    await clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return finished;
}

function defaults(parts: { client: KubeClient; runtime: FakeRuntime; home: string; clock: FakeClock }): NodeOptions {
  return {
    ...parts,
    nodeName,
    log: silentLogger,
    capacity: { cpuMillicores: 4000, memoryBytes: 8 * 1024 ** 3, ephemeralStorageBytes: 100 * 1024 ** 3, pods: 100 },
    addresses: ['192.0.2.1'],
    apiServerForPods: { host: '10.0.0.254', port: 443 },
    requestToken: async (_, account, { expirationSeconds }) => ({
      token: `token-of-${account}-${parts.clock.now()}`,
      expirationTimestamp: new Date(parts.clock.now() + expirationSeconds * 1000).toISOString(),
    }),
    nodeInfo: {
      kernelVersion: '6.1',
      osImage: 'Debian',
      kubeletVersion: 'v1.33.0+sampan.0.0.0',
      machineId: 'm',
      bootId: 'b',
      acceleration: 'none: there are no machines',
    },
  };
}

export function makePod(name: string, spec: Partial<PodSpec> = {}, metadata: Pod['metadata'] = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...metadata },
    spec: {
      nodeName,
      containers: [{ name: 'web', image: 'web:1' }],
      automountServiceAccountToken: false,
      ...spec,
    },
  };
}
