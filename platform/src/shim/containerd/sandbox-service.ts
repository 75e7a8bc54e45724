/**
 * containerd 2's sandbox API for shims over the bundle runtime: a Pod is a machine, without a pause container. Served on the same socket as the task API,
 * which puts containers into the machine. Each method may be called again. UpdateSandbox, which is optional, is not offered.
 */
import { readFile } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import {
  type BundleRuntime,
  type BundleSandbox,
  type BundleUsage,
  type SandboxHandler,
  stoppedOnRequest,
} from '../../runtime/bundles/bundle-runtime.ts';
import type * as cri from '../../runtime/generated/cri.ts';
import type { TtrpcCall, TtrpcMethods } from '../ttrpc/ttrpc-server.ts';
import { decodePodConfig } from './pod-config.ts';
import * as messages from './sandbox-messages.ts';
import { sandboxPlan } from './sandbox-plan.ts';
import { bundleId } from './task-ids.ts';
import { timestampOf } from './task-messages.ts';
import { usageAny } from './task-usage.ts';

export interface SandboxServiceOptions {
  bundles: BundleRuntime;
  /** Which containerd asks, for which of its namespaces. */
  door: string;
  namespace: string;
  /** Of the runtime that it was told to use. */
  handler: SandboxHandler;
  canJoinNetns: boolean;
  clock: Clock;
}

/** On a sandbox made here: the directory that containerd keeps for it, which tells whether containerd still knows it. */
export const sandboxBundle = 'dev.sampan.shim/bundle';

const done = Buffer.alloc(0);
const killedExit = 137;
const podConfigType = 'runtime.v1.PodSandboxConfig';

export function sandboxMethods(options: SandboxServiceOptions): TtrpcMethods {
  const { bundles } = options;
  const idOf = (sandboxId: string) => bundleId({ door: options.door, namespace: options.namespace, id: sandboxId });
  /** By what a call names: containerd's id, and ours. */
  const of = (work: (sandboxId: string, id: string) => Promise<Buffer> | Buffer) => async (call: TtrpcCall) => {
    const { sandboxId } = messages.sandboxRequest.decode(call.payload);
    return work(sandboxId, idOf(sandboxId));
  };
  const methods: Record<string, (call: TtrpcCall) => Promise<Buffer>> = {
    CreateSandbox: (call) => createSandbox(options, idOf, call),
    StartSandbox: of((_, id) => {
      const { pid, createdAtUnixNanos } = ready(bundles.sandbox(id));
      return messages.startSandboxResponse.encode({ pid, createdAt: timestampOf(createdAtUnixNanos) });
    }),
    Platform: of(() => messages.platformResponse.encode({ platform: { os: 'linux', architecture } })),
    StopSandbox: of(async (_, id) => {
      await bundles.stopSandbox(id);
      return done;
    }),
    WaitSandbox: of(async (_, id) => {
      const { message, endedAtUnixNanos = 0n } = await bundles.waitSandbox(id);
      const exitStatus = message === stoppedOnRequest ? 0 : killedExit;
      return messages.waitSandboxResponse.encode({ exitStatus, exitedAt: timestampOf(endedAtUnixNanos) });
    }),
    SandboxStatus: of((sandboxId, id) => statusOf(sandboxId, bundles.sandbox(id))),
    PingSandbox: of((_, id) => {
      ready(bundles.sandbox(id));
      return done;
    }),
    ShutdownSandbox: of(async (_, id) => {
      await bundles.deleteSandbox(id);
      return done;
    }),
    SandboxMetrics: of(async (sandboxId, id) => {
      const timestamp = timestampOf(BigInt(Math.floor(options.clock.now())) * 1_000_000n);
      const data = usageAny(await usageOf(bundles, ready(bundles.sandbox(id)).id));
      return messages.sandboxMetricsResponse.encode({ metrics: { timestamp, id: sandboxId, data } });
    }),
  };
  return new Map(
    Object.entries(methods).map(([method, handler]) => [`containerd.runtime.sandbox.v1.Sandbox/${method}`, handler]),
  );
}

/** As Go names it. */
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

async function createSandbox(
  { bundles, handler, canJoinNetns }: SandboxServiceOptions,
  idOf: (sandboxId: string) => string,
  call: TtrpcCall,
): Promise<Buffer> {
  const request = messages.createSandboxRequest.decode(call.payload);
  const { netnsPath, bundlePath } = request;
  const id = idOf(request.sandboxId);
  const again = bundles.listSandboxes().find((one) => one.id === id);
  if (again?.annotations[sandboxBundle] === bundlePath) return done;
  const config = podConfigOf(request.options ?? {});
  const hostResolvConf = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  const plan = sandboxPlan(config, { handler, netnsPath, canJoinNetns, hostResolvConf });
  await bundles.createSandbox({ id, ...plan, annotations: { ...plan.annotations, [sandboxBundle]: bundlePath } });
  return done;
}

/** Of containerd's CRI plugin; whoever else makes sandboxes says nothing of a Pod. */
function podConfigOf({ typeUrl = '', value = done }: { typeUrl?: string; value?: Uint8Array }): cri.PodSandboxConfig {
  if (typeUrl && typeUrl.split('/').at(-1) !== podConfigType)
    throw new SampanError('Unsupported', `CreateSandboxRequest.options of type ${typeUrl}; wanted ${podConfigType}`);
  return decodePodConfig(value);
}

/** Throws FailedPrecondition when its machine is gone. */
function ready(sandbox: BundleSandbox): BundleSandbox {
  if (sandbox.state === 'ready') return sandbox;
  throw new SampanError('FailedPrecondition', `sandbox ${sandbox.id} is not ready: ${sandbox.message}`);
}

function statusOf(sandboxId: string, { pid, state, createdAtUnixNanos, endedAtUnixNanos }: BundleSandbox): Buffer {
  return messages.sandboxStatusResponse.encode({
    sandboxId,
    pid,
    state: messages.sandboxState[state],
    createdAt: timestampOf(createdAtUnixNanos),
    ...(endedAtUnixNanos ? { exitedAt: timestampOf(endedAtUnixNanos) } : {}),
  });
}

/** Of all its containers together. */
async function usageOf(bundles: BundleRuntime, sandboxId: string): Promise<BundleUsage> {
  const sum: BundleUsage = {
    cpuNanos: 0n,
    memoryUsageBytes: 0,
    memoryWorkingSetBytes: 0,
    memoryRssBytes: 0,
    memoryLimitBytes: 0,
    pageFaults: 0,
    majorPageFaults: 0,
    pids: 0,
  };
  for (const container of bundles.list()) {
    if (container.sandboxId !== sandboxId || container.state === 'stopped') continue;
    const usage = await bundles.stats(container.id);
    sum.cpuNanos += usage.cpuNanos;
    for (const field of [
      'memoryUsageBytes',
      'memoryWorkingSetBytes',
      'memoryRssBytes',
      'pageFaults',
      'majorPageFaults',
      'pids',
    ] as const)
      sum[field] += usage[field];
  }
  return sum;
}
