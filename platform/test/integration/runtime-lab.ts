/**
 * A runtime over the real drivers for tests: QEMU machines, EROFS images, a bridge, the guest's own agent. No API server.
 * Everything has a tag of its own; dispose() removes all of it and tells what would have been left.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Instance, instanceFromEnvironment } from '../../src/base/config.ts';
import { createLogger, type Logger } from '../../src/base/log.ts';
import { createErofsImageStore } from '../../src/images/erofs/erofs-image-store.ts';
import { createBridgeNetwork } from '../../src/network/bridge/bridge-network.ts';
import type { Network } from '../../src/network/network.ts';
import { connectAgent } from '../../src/runtime/agent/agent-client.ts';
import { createRuntime } from '../../src/runtime/create-runtime.ts';
import type * as cri from '../../src/runtime/generated/cri.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { type Handler, handlerOf } from '../../src/runtime/sandbox/handlers.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { createNamespaceVmm } from '../../src/vmm/namespace/namespace-vmm.ts';
import { createQemuVmm } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { MachineShape, Vmm } from '../../src/vmm/vmm.ts';
import { guestDirectory, launcherPath, missingForMachines } from './support/built-parts.ts';
import { until } from './support/wait.ts';

/** Why this machine cannot run these tests; undefined when it can. */
export const missingParts = (): string | undefined => missingForMachines();

/** Which handler the tests of Pods run on: runtime-namespace.test.ts runs them all on the other one. */
export const testHandler = handlerOf(process.env.SAMPAN_TEST_HANDLER);
/** Why a test of what only a virtual machine has does not run. */
export const needsVm = testHandler === 'vm' ? undefined : "needs a kernel of the Pod's own";

/** A small machine, so that tests share one template. */
export const smallLinux: cri.LinuxPodSandboxConfig = {
  resources: { cpuQuota: 100_000n, cpuPeriod: 100_000n, memoryLimitInBytes: 192n * 1024n * 1024n },
};
export const smallShape: MachineShape = { vcpus: 1, memoryMib: 256 };

export interface LabOptions {
  home?: string;
  log?: Logger;
  onStep?: (step: string) => void | Promise<void>;
  /** Of every sandbox; default vm. */
  handler?: Handler;
  /** Parked clones; default none. */
  pool?: number;
  /** Default: a bridge. */
  network?: (run: string, log: Logger) => Promise<Network>;
}

const archive = `${process.env.SAMPAN_CACHE || '/var/cache/sampan'}/test-images/busybox.tar`;

/** A machine that has it need have nothing to build it with (tools/v2-host). */
async function busyboxArchive(): Promise<string> {
  if (existsSync(archive)) return archive;
  return (await import('../fixtures/images/build-image.ts')).buildImage('busybox');
}

export class RuntimeLab implements AsyncDisposable {
  readonly instance: Instance;
  readonly runtime: Runtime;
  readonly vmm: Vmm;
  readonly network: Network;
  readonly handler: Handler;
  /** busybox. */
  readonly imageId: string;
  #closed = false;

  private constructor(
    instance: Instance,
    runtime: Runtime,
    parts: { vmm: Vmm; network: Network; handler: Handler; imageId: string },
  ) {
    this.instance = instance;
    this.runtime = runtime;
    this.vmm = parts.vmm;
    this.handler = parts.handler;
    this.network = parts.network;
    this.imageId = parts.imageId;
  }

  static async open(options: LabOptions = {}): Promise<RuntimeLab> {
    const home = options.home ?? (await mkdtemp(join(tmpdir(), 'sampan-runtime-lab-')));
    const instance = instanceFromEnvironment({ SAMPAN_HOME: home });
    const log = options.log ?? createLogger({ level: process.env.LAB_LOG ?? 'fatal' });
    const { run, tag } = instance;
    const images = await createErofsImageStore({ directory: join(home, 'images'), log });
    const [image] = await images.import(await busyboxArchive(), { as: 'sampan.test/busybox:1' });
    const network = await (options.network?.(run, log) ?? createBridgeNetwork({ run, tag, log }));
    await network.start();
    const guest = await findGuestArtifacts(guestDirectory);
    const { handler = testHandler } = options;
    const vmm =
      handler === 'vm'
        ? await createQemuVmm({ run, guest, launcherPath, tag, log, pool: options.pool ?? 0 })
        : await createNamespaceVmm({ run, guest, tag, log });
    const vmms = handler === 'vm' ? { vm: vmm } : { vm: vmm, namespace: vmm };
    const { onStep } = options;
    const steps = onStep ? { onStep } : {};
    const runtime = createRuntime({ vmms, images, network, connectAgent, run, home, log, ...steps });
    await runtime.recover();
    return new RuntimeLab(instance, runtime, { vmm, network, handler, imageId: image!.id });
  }

  sandboxConfig(name: string, more: Partial<cri.PodSandboxConfig> = {}): cri.PodSandboxConfig {
    return {
      metadata: { name, namespace: 'lab', uid: `uid-${name}`, attempt: 0 },
      hostname: name,
      logDirectory: this.logDirectory(name),
      linux: smallLinux,
      annotations: { 'sampan.dev/images': JSON.stringify([this.imageId]) },
      ...more,
    };
  }

  logDirectory = (name: string): string => join(this.instance.home, 'logs', name);

  async sandbox(name: string, more: Partial<cri.PodSandboxConfig> = {}): Promise<string> {
    return (await this.runtime.runPodSandbox({ config: this.sandboxConfig(name, more), runtimeHandler: this.handler }))
      .podSandboxId!;
  }

  async container(podSandboxId: string, script: string, more: Partial<cri.ContainerConfig> = {}): Promise<string> {
    const name = more.metadata?.name ?? 'main';
    const image = { image: this.imageId };
    const config = {
      metadata: { name, attempt: 0 },
      image,
      command: ['sh', '-c', script],
      logPath: `${name}.log`,
      ...more,
    };
    return (await this.runtime.createContainer({ podSandboxId, config })).containerId!;
  }

  async started(podSandboxId: string, script: string, more: Partial<cri.ContainerConfig> = {}): Promise<string> {
    const containerId = await this.container(podSandboxId, script, more);
    await this.runtime.startContainer({ containerId });
    return containerId;
  }

  async status(containerId: string): Promise<cri.ContainerStatus> {
    return (await this.runtime.containerStatus({ containerId })).status!;
  }

  exited(containerId: string): Promise<cri.ContainerStatus> {
    return until(`container ${containerId} exits`, async () => {
      const status = await this.status(containerId);
      return status.state === 2 ? status : undefined;
    });
  }

  /** Content of a log without its times, line by line. */
  async log(pod: string, name = 'main'): Promise<string[]> {
    const text = await readFile(join(this.logDirectory(pod), `${name}.log`), 'utf8').catch(() => '');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' ').slice(1).join(' '));
  }

  async exec(containerId: string, script: string): Promise<string> {
    const answer = await this.runtime.execSync({ containerId, cmd: ['sh', '-c', script], timeout: 30n });
    return Buffer.from(answer.stdout ?? []).toString() + Buffer.from(answer.stderr ?? []).toString();
  }

  /** Names of what Pods hold on this host. */
  async traces(): Promise<string[]> {
    const { run, home } = this.instance;
    const names = await Promise.all(
      [join(run, 'pods'), join(run, 'vm'), join(home, 'scratch')].map((path) =>
        readdir(path).catch(() => [] as string[]),
      ),
    );
    return [
      ...names.flat(),
      ...(await this.loops()),
      ...(await this.cgroups()),
      ...(await this.network.list()).map(({ sandboxId }) => sandboxId),
    ];
  }

  /** Loop devices over files of this instance. */
  async loops(): Promise<string[]> {
    const loops = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
    const files = loops.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => ''));
    return (await Promise.all(files)).filter((file) => file.startsWith(this.instance.home));
  }

  /** Control groups of machines, in every hierarchy. */
  async cgroups(): Promise<string[]> {
    const root = '/sys/fs/cgroup';
    const roots = [root, ...(await readdir(root)).map((name) => join(root, name))];
    const machines = roots.map(async (path) => {
      const parent = join(path, `sampan-${this.instance.tag}`);
      const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isDirectory()).map((entry) => join(parent, entry.name));
    });
    return (await Promise.all(machines)).flat();
  }

  /** Lets go of everything; Pods go on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.runtime.close();
    await this.vmm.close();
    await this.network.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    const { items } = await this.runtime.listPodSandbox({});
    await Promise.all((items ?? []).map(({ id }) => this.runtime.removePodSandbox({ podSandboxId: id })));
    await this.close();
    await this.vmm.teardown();
    await this.network.teardown();
    await rm(this.instance.run, { recursive: true, force: true });
    await rm(this.instance.home, { recursive: true, force: true });
  }
}
