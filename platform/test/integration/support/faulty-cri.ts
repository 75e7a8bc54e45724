/**
 * A `sampan cri` whose process can be ended, held or failed at any of its steps (base/failpoints.ts), and the life of a Pod as a list of CRI calls that a
 * client makes, loses the answer of, and makes again.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { instanceFromEnvironment } from '../../../src/base/config.ts';
import * as cri from '../../../src/runtime/generated/cri.ts';
import { buildImage } from '../../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../../fixtures/images/registry.ts';
import { CriLab } from './cri-lab.ts';
import { holdings, lastingLeaks, type Swept } from './leak-sweep.ts';
import { until } from './wait.ts';

export class FaultyCri implements AsyncDisposable {
  readonly lab: CriLab;
  readonly image: string;
  readonly handler: string;
  readonly registry: Registry;
  readonly #points: string;
  #before: string[] = [];

  private constructor(parts: { lab: CriLab; registry: Registry; image: string; handler: string; points: string }) {
    this.lab = parts.lab;
    this.registry = parts.registry;
    this.image = parts.image;
    this.handler = parts.handler;
    this.#points = parts.points;
  }

  /** With the image pulled and one Pod's life behind it: templates, tables and directories are there. */
  static async open(name: string, handler: string): Promise<FaultyCri> {
    const registry = await startRegistry();
    const image = await registry.pushImage(await buildImage('busybox'), 'faults/busybox:1');
    const points = join(await mkdtemp(join(tmpdir(), 'failpoints-')), 'points');
    await writeFile(points, '');
    process.env.SAMPAN_FAILPOINTS = points;
    const lab = await CriLab.open(name).catch(async (error) => {
      await registry.stop();
      throw error;
    });
    const faulty = new FaultyCri({ lab, registry, image, handler, points });
    try {
      await lab.client.pullImage({ image: { image } });
      await new PodLife(faulty, 'first').toTheEnd();
    } catch (error) {
      await faulty[Symbol.asyncDispose]().catch(() => {});
      throw error;
    }
    faulty.#before = holdings(faulty.swept);
    return faulty;
  }

  get client() {
    return this.lab.client;
  }

  get swept(): Swept {
    const { run, tag } = instanceFromEnvironment(this.lab.env);
    return { run, tag, home: this.lab.home };
  }

  /** `<step> kill`, `<step> fail ENOSPC`, `<step> hold`; '' takes a hold back. */
  at = (point: string): Promise<void> => writeFile(this.#points, point);

  /** Resolves once the step that holds has been reached. */
  held = (step: string): Promise<unknown> =>
    until(`${step} is reached`, async () => (await readFile(this.#points, 'utf8')) === `${step} held`);

  /** Waits for the death that a failpoint brings, and starts the next process. Throws when it lives on. */
  async comeBack(): Promise<void> {
    const { process } = this.lab;
    await until('the process has died', async () => process.signalCode !== null || process.exitCode !== null);
    assert.equal(process.signalCode, 'SIGKILL');
    await this.lab.start();
  }

  /** What a test that failed has left is no matter of the next. */
  async clear(): Promise<void> {
    await this.at('');
    if (this.lab.process.exitCode !== null || this.lab.process.signalCode !== null) await this.lab.start();
    const { items = [] } = await this.client.listPodSandbox({});
    for (const { id } of items) await this.client.removePodSandbox({ podSandboxId: id });
  }

  /** Throws at what was not there at first. */
  async sweep(): Promise<void> {
    assert.deepEqual(await lastingLeaks(this.swept, this.#before), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    delete process.env.SAMPAN_FAILPOINTS;
    await this.at('');
    await this.lab[Symbol.asyncDispose]();
    await this.registry.stop();
    await rm(join(this.#points, '..'), { recursive: true, force: true });
  }
}

const gone = [status.UNAVAILABLE, status.CANCELLED, status.UNKNOWN, status.INTERNAL, status.RESOURCE_EXHAUSTED];
type Call = 'run' | 'create' | 'start' | 'exec' | 'stop' | 'remove' | 'stopSandbox' | 'removeSandbox';
const calls: Call[] = ['run', 'create', 'start', 'exec', 'stop', 'remove', 'stopSandbox', 'removeSandbox'];

/** One Pod with one container that says hello once and ends with 7 when it is asked to. */
export class PodLife {
  readonly #faulty: FaultyCri;
  readonly name: string;
  readonly graceSeconds: bigint;
  /** Of its container. */
  mounts: cri.Mount[] = [];
  sandboxId = '';
  containerId = '';
  hasStarted = false;

  constructor(faulty: FaultyCri, name: string, graceSeconds = 20n) {
    this.#faulty = faulty;
    this.name = name;
    this.graceSeconds = graceSeconds;
  }

  /** Makes the calls one after another, and gives the one that broke off. */
  async untilItBreaks(from: Call = 'run'): Promise<Call | undefined> {
    for (const call of calls.slice(calls.indexOf(from)))
      try {
        await this[call]();
      } catch (error) {
        if (gone.includes((error as { code: number }).code)) return call;
        throw error;
      }
    return undefined;
  }

  /** As far as its container's first line. */
  async running(): Promise<this> {
    await this.run();
    await this.create();
    await this.start();
    await this.speaks();
    return this;
  }

  async toTheEnd(from: Call = 'run'): Promise<void> {
    assert.equal(await this.untilItBreaks(from), undefined);
  }

  async run(): Promise<void> {
    const { lab, handler } = this.#faulty;
    const answer = await lab.client.runPodSandbox({ config: lab.sandboxConfig(this.name), runtimeHandler: handler });
    this.sandboxId = answer.podSandboxId!;
  }

  async create(): Promise<void> {
    const { lab, image } = this.#faulty;
    const script = 'trap "exit 7" TERM; echo hello; while true; do sleep 0.05; done';
    const config = {
      metadata: { name: 'main', attempt: 0 },
      image: { image },
      command: ['sh', '-c', script],
      logPath: 'main.log',
      mounts: this.mounts,
    };
    const { sandboxId: podSandboxId, name } = this;
    const sandboxConfig = lab.sandboxConfig(name);
    this.containerId = (await lab.client.createContainer({ podSandboxId, config, sandboxConfig })).containerId!;
  }

  async start(): Promise<void> {
    this.hasStarted = true;
    await this.#faulty.client.startContainer({ containerId: this.containerId });
  }

  async exec(): Promise<void> {
    await this.speaks();
    const cmd = ['sh', '-c', 'echo in; exit 3'];
    const answer = await this.#faulty.client.execSync({ containerId: this.containerId, cmd, timeout: 20n });
    assert.deepEqual([String(answer.stdout), answer.exitCode], ['in\n', 3]);
  }

  async stop(): Promise<void> {
    const { containerId, graceSeconds: timeout } = this;
    await this.#faulty.client.stopContainer({ containerId, timeout });
    const { status: ended } = await this.#faulty.client.containerStatus({ containerId });
    const wanted = this.hasStarted && timeout > 0n ? 7 : 137;
    assert.deepEqual([ended?.state, ended?.exitCode], [cri.ContainerState.CONTAINER_EXITED, wanted]);
  }

  async remove(): Promise<void> {
    await this.#faulty.client.removeContainer({ containerId: this.containerId });
  }

  async stopSandbox(): Promise<void> {
    await this.#faulty.client.stopPodSandbox({ podSandboxId: this.sandboxId });
  }

  async removeSandbox(): Promise<void> {
    await this.#faulty.client.removePodSandbox({ podSandboxId: this.sandboxId });
  }

  /** It has said hello, once, however often it was asked to start. */
  async speaks(): Promise<void> {
    const path = join(this.#faulty.lab.logDirectory(this.name), 'main.log');
    const hellos = async () =>
      (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => line.endsWith('hello')).length;
    await until('it says hello', async () => (await hellos()) > 0);
    assert.equal(await hellos(), 1);
  }

  /**
   * After `broken` was cut off and another process has taken over: every list says what is, and the same call again leads on. Gives the call that comes next.
   */
  async takeUp(broken: Call): Promise<Call> {
    const { client } = this.#faulty;
    const { items: sandboxes = [] } = await client.listPodSandbox({});
    const { containers = [] } = await client.listContainers({});
    const ids = sandboxes.map(({ id }) => id);
    for (const { podSandboxId } of containers) assert.ok(ids.includes(podSandboxId), 'a container without a sandbox');
    for (const { id, state } of sandboxes) {
      const { status: told } = await client.podSandboxStatus({ podSandboxId: id! });
      assert.equal(told?.state, state);
    }
    for (const { id, state } of containers) {
      const { status: told } = await client.containerStatus({ containerId: id! });
      assert.equal(told?.state, state);
    }
    const isReady = sandboxes[0]?.state === cri.PodSandboxState.SANDBOX_READY;
    if (broken === 'run') {
      assert.ok(sandboxes.length <= 1 && containers.length === 0);
      if (sandboxes.length === 0) return 'run';
      // Made, though nobody was told: it is listed, works, and is not made twice.
      assert.ok(isReady);
      await refused(this.run(), status.ALREADY_EXISTS, sandboxes[0]!.id!);
      this.sandboxId = sandboxes[0]!.id!;
      return 'create';
    }
    if (broken !== 'removeSandbox' || sandboxes.length > 0) assert.deepEqual(ids, [this.sandboxId], 'lost its sandbox');
    if (broken === 'create') {
      assert.ok(isReady && containers.length <= 1);
      if (containers.length === 0) return 'create';
      await refused(this.create(), status.ALREADY_EXISTS, containers[0]!.id!);
      this.containerId = containers[0]!.id!;
      return 'start';
    }
    if (broken === 'start') {
      const [container] = containers;
      assert.equal(container?.id, this.containerId, 'lost its container');
      if (container?.state === cri.ContainerState.CONTAINER_CREATED) return 'start';
      assert.equal(container?.state, cri.ContainerState.CONTAINER_RUNNING);
      await refused(this.start(), status.FAILED_PRECONDITION, 'running');
      return 'exec';
    }
    if (broken === 'exec') assert.equal(containers[0]?.state, cri.ContainerState.CONTAINER_RUNNING);
    return broken;
  }
}

async function refused(call: Promise<void>, code: status, word: string): Promise<void> {
  await assert.rejects(call, (error: { code: number; details: string }) => {
    assert.equal(error.code, code, error.details);
    assert.ok(error.details.includes(word), error.details);
    return true;
  });
}

/**
 * Two Pods whose agents are stopped in their tracks, one asked for the end of its container and the other for the container's removal: both are done in our
 * own time, with the machines. `pids` are those of the machines there are.
 */
export async function endsTheSilent(faulty: FaultyCri, pids: () => number[]): Promise<void> {
  const { client } = faulty;
  const [stopped, removed] = await Promise.all(
    ['silent-stop', 'silent-remove'].map((name) => new PodLife(faulty, name).running()),
  );
  for (const pid of pids()) process.kill(pid, 'SIGSTOP');
  const began = performance.now();
  await Promise.all([client.stopContainer({ containerId: stopped!.containerId, timeout: 1n }), removed!.remove()]);
  const tookMs = performance.now() - began;
  assert.ok(tookMs < 60_000, `it took ${tookMs} ms`);
  assert.deepEqual(pids(), [], 'the machines are gone');
  const { status: ended } = await client.containerStatus({ containerId: stopped!.containerId });
  assert.deepEqual([ended?.state, ended?.exitCode], [cri.ContainerState.CONTAINER_EXITED, 137]);
  assert.match(ended?.message ?? '', /did not answer/);
  const { containers = [] } = await client.listContainers({});
  assert.deepEqual(
    containers.map(({ id }) => id),
    [stopped!.containerId],
  );
  const { items = [] } = await client.listPodSandbox({});
  assert.ok(items.every(({ state }) => state === cri.PodSandboxState.SANDBOX_NOTREADY));
  for (const pod of [stopped!, removed!]) {
    await pod.stopSandbox();
    await pod.removeSandbox();
  }
  await faulty.sweep();
}
