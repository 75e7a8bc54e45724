/**
 * Keeps the node known to the API: its object from start on, its lease every 10 s, its status on change and every 5 minutes.
 * A node that stops renewing its lease is for others to call lost.
 */
import { isDeepStrictEqual } from 'node:util';
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.js';
import type { ContainerImage, Node, NodeStatus } from 'kubernetes-types/core/v1.js';
import { type Clock, toMicroTime } from '../../base/clock.ts';
import type { EventRecorder } from '../../base/event-recorder.ts';
import type { Logger } from '../../base/log.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { DiskPressure } from '../stats/disk-pressure.ts';
import { type NodeFacts, type NodeHealth, nodeMetadata, nodeStatus } from './node-object.ts';

export interface RegistrationOptions {
  client: KubeClient;
  runtime: Runtime;
  facts: NodeFacts;
  disk: DiskPressure;
  clock: Clock;
  log: Logger;
  events: EventRecorder;
}

const leaseNamespace = 'kube-node-lease';
const leaseSeconds = 40;
const renewMs = 10_000;
const statusMs = 5 * 60_000;
const maxImages = 50;

export class NodeRegistration {
  readonly #options: RegistrationOptions;
  readonly #stop = new AbortController();
  #status: NodeStatus | undefined;
  #statusAtMs = 0;
  #running: Promise<void> | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  /** Throws what the API answers when it refuses the node. */
  async start(): Promise<void> {
    await this.#register();
    await Promise.all([this.#renewLease(), this.#reportStatus()]);
    this.#running = this.#loop();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #register(): Promise<void> {
    const { client, facts, events } = this.#options;
    const metadata = nodeMetadata(facts);
    try {
      const node = await client.create<Node>(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata, spec: {} });
      const { name, uid } = node.metadata ?? {};
      events.event({ kind: 'Node', name, uid }, 'Normal', 'RegisteredNode', `Node ${name} registered`);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const { labels, annotations } = metadata;
      const node = await client.patch<Node>(
        resources.nodes,
        facts.nodeName,
        { metadata: { labels, annotations } },
        { type: 'application/merge-patch+json' },
      );
      this.#status = node.status;
    }
  }

  async #loop(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(renewMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.#renewLease();
        await this.#reportStatus();
      } catch (error) {
        if (isReason(error, 'NotFound')) await this.#register().catch(() => {});
        log.warn({ error: messageOf(error) }, 'node not reported, will be tried again');
      }
    }
  }

  async #renewLease(): Promise<void> {
    const { client, facts, clock } = this.#options;
    const name = facts.nodeName;
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: leaseSeconds,
      renewTime: toMicroTime(clock.now()),
    };
    const merge = { namespace: leaseNamespace, type: 'application/merge-patch+json' as const };
    try {
      await client.patch<Lease>(resources.leases, name, { spec }, merge);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      const lease: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec };
      await client.create<Lease>(resources.leases, lease, { namespace: leaseNamespace });
    }
  }

  async #reportStatus(): Promise<void> {
    const { client, facts, clock } = this.#options;
    const nowMs = clock.now();
    const status = nodeStatus(facts, await this.#health(), this.#status, nowMs);
    const same = this.#status !== undefined && isDeepStrictEqual(lasting(status), lasting(this.#status));
    if (same && nowMs - this.#statusAtMs < statusMs && !(await this.#isGivenUp())) return;
    await client.patch<Node>(
      resources.nodes,
      facts.nodeName,
      { status },
      { type: 'application/strategic-merge-patch+json', subresource: 'status' },
    );
    this.#tellPressure(status, this.#status);
    this.#status = status;
    this.#statusAtMs = nowMs;
  }

  /** Once each way, in kubelet's words. */
  #tellPressure(now: NodeStatus, before: NodeStatus | undefined): void {
    const { events, facts, disk } = this.#options;
    const isHigh = (status: NodeStatus | undefined) =>
      status?.conditions?.find(({ type }) => type === 'DiskPressure')?.status === 'True';
    if (isHigh(now) === isHigh(before)) return;
    const node = { kind: 'Node', name: facts.nodeName, uid: facts.nodeName };
    const attempt = `Attempting to reclaim ephemeral-storage: ${disk.message}`;
    if (isHigh(now)) events.event(node, 'Warning', 'EvictionThresholdMet', attempt);
    const reason = isHigh(now) ? 'NodeHasDiskPressure' : 'NodeHasNoDiskPressure';
    events.event(node, 'Normal', reason, `Node ${facts.nodeName} status is now: ${reason}`);
  }

  /** The control plane took the node for lost, and only the node can say that it is not. */
  async #isGivenUp(): Promise<boolean> {
    const { client, facts } = this.#options;
    const node = await client.get<Node>(resources.nodes, facts.nodeName);
    return (node.status?.conditions ?? []).some(({ reason }) => reason === 'NodeStatusUnknown');
  }

  async #health(): Promise<NodeHealth> {
    const { runtime, disk } = this.#options;
    const [runtimeState, images] = await Promise.all([
      runtimeHealth(runtime),
      runtime.listImages({}).catch(() => ({ images: [] })),
      disk.look(),
    ]);
    return {
      ...runtimeState,
      diskPressure: disk.isHigh,
      diskMessage: disk.message,
      images: (images.images ?? [])
        .map(
          (image): ContainerImage => ({
            names: [...(image.repoDigests ?? []), ...(image.repoTags ?? [])],
            sizeBytes: Number(image.size ?? 0n),
          }),
        )
        .filter((image) => (image.names?.length ?? 0) > 0)
        .sort((a, b) => (b.sizeBytes ?? 0) - (a.sizeBytes ?? 0))
        .slice(0, maxImages),
    };
  }
}

async function runtimeHealth(runtime: Runtime): Promise<Pick<NodeHealth, 'runtimeReady' | 'runtimeMessage'>> {
  try {
    const { status } = await runtime.status({ verbose: false });
    const bad = (status?.conditions ?? []).filter((condition) => condition.status === false);
    const runtimeMessage = bad.map((one) => `${one.type}: ${one.reason} ${one.message}`).join('; ');
    return { runtimeReady: bad.length === 0, runtimeMessage };
  } catch (error) {
    return { runtimeReady: false, runtimeMessage: `the runtime does not answer: ${messageOf(error)}` };
  }
}

/** A status less what changes with every heartbeat. */
function lasting(status: NodeStatus): object {
  const { capacity, addresses, nodeInfo, images } = status;
  const conditions = status.conditions?.map(({ type, status: state, message }) => [type, state, message]);
  return { capacity, addresses, nodeInfo, images, conditions };
}
