/** Puts the runtime together: CRI's calls, one file each, around one Context. Holds no logic of its own. */
import { SampanError } from '@sampan/api/errors.ts';
import { systemClock } from '../base/clock.ts';
import { createContainer } from './containers/container-create.ts';
import { removeContainer } from './containers/container-remove.ts';
import { startContainer } from './containers/container-start.ts';
import { containerStatus, listContainers } from './containers/container-status.ts';
import { stopContainer } from './containers/container-stop.ts';
import { reopenContainerLog, updateContainerResources } from './containers/container-update.ts';
import { Context, type RuntimeOptions } from './context.ts';
import { imageService } from './image-service.ts';
import { recover } from './recover.ts';
import type { Runtime, RuntimeService, StreamingService } from './runtime.ts';
import { runtimeConfig, status, version } from './runtime-info.ts';
import { runPodSandbox } from './sandbox/vm/sandbox-run.ts';
import { listPodSandbox, podSandboxStatus } from './sandbox/vm/sandbox-status.ts';
import { removePodSandbox, stopPodSandbox } from './sandbox/vm/sandbox-stop.ts';
import { letGo } from './sandbox/vm/sandbox-watch.ts';
import { CpuRates } from './stats/cpu-rates.ts';
import { containerStats, listContainerStats, listPodSandboxStats, podSandboxStats } from './stats/stats.ts';
import { attach } from './streaming/attach.ts';
import { exec, execSync } from './streaming/exec.ts';
import { portForward } from './streaming/port-forward.ts';

export type { RuntimeOptions } from './context.ts';

/** recover() must be called once before anything else. */
export function createRuntime(options: RuntimeOptions): Runtime {
  const context = new Context({
    clock: systemClock,
    defaults: { cpuMillicores: 500, memoryMib: 512 },
    onStep: () => {},
    ...options,
  });
  return {
    ...runtimeService(context),
    ...imageService(context),
    ...streamingService(context),
    recover: () => recover(context),
    close: () => close(context),
  };
}

function runtimeService(context: Context): RuntimeService {
  const rates = new CpuRates();
  return {
    version: async () => version(),
    status: (request) => status(context, request),
    runtimeConfig: async () => runtimeConfig(),
    runPodSandbox: (request) => runPodSandbox(context, request),
    stopPodSandbox: (request) => stopPodSandbox(context, request),
    removePodSandbox: (request) => removePodSandbox(context, request),
    podSandboxStatus: (request) => podSandboxStatus(context, request),
    listPodSandbox: async (request) => listPodSandbox(context, request),
    createContainer: (request) => createContainer(context, request),
    startContainer: async (request) => startContainer(context, request),
    stopContainer: (request) => stopContainer(context, request),
    removeContainer: (request) => removeContainer(context, request),
    listContainers: async (request) => listContainers(context, request),
    containerStatus: (request) => containerStatus(context, request),
    updateContainerResources: async (request) => updateContainerResources(context, request),
    reopenContainerLog: (request) => reopenContainerLog(context, request),
    execSync: (request) => execSync(context, request),
    containerStats: (request) => containerStats(context, rates, request),
    listContainerStats: (request) => listContainerStats(context, rates, request),
    podSandboxStats: (request) => podSandboxStats(context, rates, request),
    listPodSandboxStats: (request) => listPodSandboxStats(context, rates, request),
    getContainerEvents: () => context.events.watch(),
  };
}

function streamingService(context: Context): StreamingService {
  return {
    exec: (request) => exec(context, request),
    attach: (request) => attach(context, request),
    portForward: (podSandboxId, port) => portForward(context, podSandboxId, port),
  };
}

/** Pods go on; whoever waits for something of ours is told that we go. */
async function close(context: Context): Promise<void> {
  const error = new SampanError('ServiceUnavailable', 'the runtime is closing');
  context.closing.abort(error);
  for (const sandbox of context.sandboxes.values()) letGo(sandbox, error);
  await Promise.all([...context.containers.values()].map((container) => container.pump?.stop()));
}
