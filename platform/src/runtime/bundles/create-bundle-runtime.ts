/** Puts the bundle runtime together: calls, one lock a container, and finding everything again. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { agentOf } from './agent-of.ts';
import { BundleContext, type BundleRuntimeOptions } from './bundle-context.ts';
import { saveBundleContainer } from './bundle-records.ts';
import type { BundleRuntime, BundleUsage, ProcessRef } from './bundle-runtime.ts';
import { processOnHost } from './container-hooks.ts';
import {
  createContainer,
  deleteContainer,
  describeContainer,
  killContainer,
  startContainer,
} from './container-life.ts';
import { addExec, deleteExec, describeExec, killExec, startExec } from './exec-life.ts';
import { translateResources } from './guest-resources.ts';
import { nobodyKeeps } from './held-stdio.ts';
import { hostHookNamespaces } from './hook-namespaces.ts';
import { recoverBundles } from './recover-bundles.ts';
import { createSandbox, deleteSandbox, describeSandbox, dialSandbox, stopSandbox } from './sandbox-life.ts';

export type { BundleRuntimeOptions, NetnsJoiner } from './bundle-context.ts';

/** recover() must be called once before anything else. */
export function createBundleRuntime(options: BundleRuntimeOptions): BundleRuntime {
  const context = new BundleContext({
    clock: systemClock,
    defaults: { cpuMillicores: 1000, memoryMib: 512 },
    onStep: () => {},
    keeper: nobodyKeeps,
    hookNamespaces: hostHookNamespaces,
    ...options,
  });
  const locked = <T>(id: string, work: () => Promise<T>) => context.locks.run(`container ${id}`, work);
  return {
    recover: () => recoverBundles(context),
    createSandbox: (request, hooked) => createSandbox(context, request, hooked),
    sandbox: (id) => describeSandbox(context.sandbox(id)),
    listSandboxes: () =>
      [...context.sandboxes.values()].filter(({ record }) => record.state !== 'deleting').map(describeSandbox),
    waitSandbox: async (id) => {
      const sandbox = context.sandbox(id);
      await sandbox.ended.promise;
      return describeSandbox(sandbox);
    },
    stopSandbox: (id) => stopSandbox(context, id),
    deleteSandbox: (id) => deleteSandbox(context, id),
    countBeside: async (id, pid) =>
      context.sandboxes
        .get(id)
        ?.machine?.countBeside?.(pid)
        .catch(() => {}),
    dial: (sandboxId, port) => dialSandbox(context, sandboxId, port),
    createContainer: (request) => locked(request.id, () => createContainer(context, request)),
    start: (id) => locked(id, () => startContainer(context, id)),
    container: (id) => describeContainer(context, context.container(id)),
    list: () => [...context.containers.values()].map((one) => describeContainer(context, one)),
    processOnHost: (id) => processOnHost(context, context.container(id)),
    kill: ({ containerId, execId }, signal, all = false) =>
      execId ? killExec(context, { containerId, execId }, signal) : killContainer(context, containerId, signal, all),
    pause: (id) => locked(id, () => freeze(context, id, true)),
    resume: (id) => locked(id, () => freeze(context, id, false)),
    update: (id, resources) => update(context, id, resources),
    pids: async (id) => (await agentOf(context, context.container(id))).processes(id),
    stats: (id) => stats(context, id),
    resize: (ref, columns, rows) => resize(context, ref, columns, rows),
    closeStdin: async ({ containerId, execId }) => {
      const live = execId ? context.exec(containerId, execId) : context.container(containerId);
      await live.input?.finish();
    },
    wait: ({ containerId, execId }) =>
      (execId ? context.exec(containerId, execId) : context.container(containerId)).exited.promise,
    delivered: async ({ containerId, execId }) => {
      if (execId) return context.exec(containerId, execId).pump?.done;
      const { record, pump } = context.container(containerId);
      // What was never started has nothing to say.
      if (record.startedAtNanos > 0n) await pump?.done;
    },
    delete: (id, options = {}) => locked(id, () => deleteContainer(context, id, options)),
    addExec: (request) => addExec(context, request),
    startExec: (containerId, execId) => startExec(context, containerId, execId),
    exec: (containerId, execId) => describeExec(context.exec(containerId, execId)),
    listExecs: () =>
      [...context.containers.values()].flatMap(({ execs }) => [...execs.values()].map((exec) => describeExec(exec))),
    deleteExec: (containerId, execId) => deleteExec(context, containerId, execId),
    events: (signal) => context.events.read(signal),
    close: () => close(context),
  };
}

async function freeze(context: BundleContext, id: string, frozen: boolean): Promise<void> {
  const container = context.container(id);
  const { record } = container;
  const [wanted, other] = frozen ? (['paused', 'running'] as const) : (['running', 'paused'] as const);
  if (record.state === wanted) return;
  if (record.state !== other)
    throw new SampanError('FailedPrecondition', `container ${id} is ${record.state}, not ${other}`);
  await (await agentOf(context, container)).freeze(id, frozen);
  record.state = wanted;
  await saveBundleContainer(context.paths, record);
  context.events.tell({ type: frozen ? 'paused' : 'resumed', containerId: id });
}

async function update(context: BundleContext, id: string, resources: object): Promise<void> {
  const container = context.container(id);
  const { handler } = context.sandbox(container.record.sandboxId).record.request;
  const { devices: _devices, ...changes } = translateResources(resources as Record<string, unknown>, {
    onHost: handler === 'namespace',
  });
  await (await agentOf(context, container)).updateResources(id, changes);
  const limit = Number((changes.memory as { limit?: number } | undefined)?.limit ?? 0);
  if (limit > 0) container.record.memoryLimitBytes = limit;
  await saveBundleContainer(context.paths, container.record);
}

async function stats(context: BundleContext, id: string): Promise<BundleUsage> {
  const container = context.container(id);
  const { containers } = await (await agentOf(context, container)).stats();
  const usage = containers.find((one) => one.id === id);
  return {
    cpuNanos: usage?.cpuNanos ?? 0n,
    memoryUsageBytes: usage?.memoryUsageBytes ?? 0,
    memoryWorkingSetBytes: usage?.memoryWorkingSetBytes ?? 0,
    memoryRssBytes: usage?.memoryRssBytes ?? 0,
    memoryLimitBytes: container.record.memoryLimitBytes,
    pageFaults: usage?.pageFaults ?? 0,
    majorPageFaults: usage?.majorPageFaults ?? 0,
    pids: usage?.pids ?? 0,
  };
}

async function resize(context: BundleContext, ref: ProcessRef, columns: number, rows: number): Promise<void> {
  const { containerId, execId } = ref;
  const exec = execId ? context.exec(containerId, execId) : undefined;
  // Clients tell it as soon as they have asked for the process.
  if (exec?.record.state === 'created' && !exec.starting) {
    exec.size = { columns, rows };
    return;
  }
  await exec?.starting?.catch(() => {});
  const agent = await agentOf(context, context.container(containerId));
  await agent.resizeTty(exec?.record.id ?? containerId, columns, rows);
}

/** Sandboxes go on; whoever waits for something of ours is told that we go. */
async function close(context: BundleContext): Promise<void> {
  const error = new SampanError('ServiceUnavailable', 'the runtime is closing');
  context.closing.abort(error);
  await Promise.all(context.leaving.values());
  for (const { link } of context.sandboxes.values()) link?.close(error);
  context.options.mounts.close?.();
  const containers = [...context.containers.values()];
  const stops = [...containers, ...containers.flatMap(({ execs }) => [...execs.values()])].map((one) =>
    Promise.all([one.pump?.stop(), one.input?.close()]),
  );
  await Promise.all(stops).catch((failure) => context.options.log.debug({ error: messageOf(failure) }, 'closing'));
}
