/**
 * RunPodSandbox: a machine with a network and a writable disk.
 *
 *   record ──▶ network + scratch disk + hinted images (side by side) ──▶ machine ──▶ record "ready" ──▶ answer
 *                                                                          └── agent: connect, setup (in the background)
 *
 * On the host (handler "namespace") the network comes after the machine: eth0 is put into the machine's namespace.
 *
 * The answer does not wait for the guest: CreateContainer waits for what it needs. Whatever fails before the answer is undone.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { randomHex } from '../../../base/ids.ts';
import type { Attachment, AttachRequest } from '../../../network/network.ts';
import type { DiskAttachment, Machine } from '../../../vmm/vmm.ts';
import { runtimeAnnotation } from '../../annotations.ts';
import { emitEvent } from '../../containers/container-event.ts';
import type { Context } from '../../context.ts';
import * as cri from '../../generated/cri.ts';
import {
  createSandboxDirectory,
  deleteSandbox,
  machineName,
  type SandboxRecord,
  saveSandbox,
} from '../../records/sandbox-record.ts';
import { cgroupParentOf } from '../../spec/cgroup-parent.ts';
import { portMappings } from '../../spec/port-mappings.ts';
import { checkSandboxConfig } from '../../spec/refuse.ts';
import { checkSysctls, handlerOf, machineNamespaces, networkModeOf } from '../handlers.ts';
import { machineShape } from './machine-shape.ts';
import { Sandbox } from './sandbox.ts';
import { releaseResources } from './sandbox-release.ts';
import { sandboxShares, wantsShares } from './sandbox-shares.ts';
import { beginSandbox } from './sandbox-watch.ts';
import { defaultScratchBytes } from './scratch-disk.ts';

/** A machine has that many slots for images. */
export const imageSlots = 8;

export async function runPodSandbox(
  context: Context,
  request: cri.RunPodSandboxRequest,
): Promise<cri.RunPodSandboxResponse> {
  const sandbox = new Sandbox(newRecord(context, request));
  refuseSecond(context, sandbox);
  context.sandboxes.set(sandbox.id, sandbox);
  try {
    await build(context, sandbox);
  } catch (error) {
    await undo(context, sandbox);
    throw error;
  }
  emitEvent(context, sandbox, sandbox, cri.ContainerEventType.CONTAINER_CREATED_EVENT);
  emitEvent(context, sandbox, sandbox, cri.ContainerEventType.CONTAINER_STARTED_EVENT);
  return { podSandboxId: sandbox.id };
}

async function build(context: Context, sandbox: Sandbox): Promise<void> {
  const { record } = sandbox;
  await context.step('sandbox-record');
  await createSandboxDirectory(context.paths, record.id);
  await saveSandbox(context.paths, record);
  await context.step('sandbox-resources');
  const isVm = handlerOf(record.runtimeHandler) === 'vm';
  const making = context.scratch.create(record.id, record.scratchBytes);
  const [scratchPath, network, images] = await Promise.all([
    making,
    isVm ? attachNetwork(context, record) : undefined,
    // Pins outlive a reboot, as the disk does: the disk comes first, it is what tells of them then.
    hintedImages(context, sandbox, making),
  ]);
  if (network) record.network = network;
  await context.step('sandbox-machine');
  const scratch: DiskAttachment = { slot: 'scratch', path: scratchPath, readOnly: false };
  const leave = await context.startGate.enter('machine');
  try {
    const machine = await context.vmm(record.runtimeHandler).create({
      id: machineName(record.id),
      directory: context.paths.machine(record.id),
      shape: record.shape,
      disks: [scratch, ...images],
      ...(await sandboxShares(context, record)),
      cgroupParent: cgroupParentOf(record.config.linux),
      ...(network ? { nic: { tapName: network.tapName!, mac: network.mac, netnsPath: network.netnsPath } } : {}),
      ...(isVm ? {} : { namespaces: machineNamespaces(record.config, networkModeOf(record.config, 'namespace')) }),
    });
    if (!isVm) await joinNetwork(context, record, machine);
    await context.step('sandbox-ready');
    record.state = 'ready';
    beginSandbox(context, sandbox, machine, false);
  } catch (error) {
    leave();
    throw error;
  }
  // The guest is set up in the background: that belongs to this start.
  sandbox.link!.ready().then(leave, leave);
  await saveSandbox(context.paths, record);
  await context.step('sandbox-answer');
}

function attachNetwork(
  context: Context,
  record: SandboxRecord,
  own: Pick<AttachRequest, 'netnsPath' | 'mode'> = {},
): Promise<Attachment> {
  const { metadata } = record.config;
  return context.options.network.attach({
    sandboxId: record.id,
    podNamespace: metadata!.namespace!,
    podName: metadata!.name!,
    podUid: metadata!.uid!,
    portMappings: portMappings(record.config.portMappings),
    annotations: record.config.annotations,
    dns: dnsOf(record.config.dnsConfig),
    ...own,
  });
}

const dnsOf = (dns: cri.DNSConfig | undefined): AttachRequest['dns'] =>
  dns && { servers: dns.servers ?? [], searches: dns.searches ?? [], options: dns.options ?? [] };

/** The network of a machine on the host, whose namespace is there once it runs. */
async function joinNetwork(context: Context, record: SandboxRecord, machine: Machine): Promise<void> {
  const mode = networkModeOf(record.config, 'namespace');
  await context.step('sandbox-network');
  if (mode === 'bridge' || mode === 'macvlan') {
    const netnsPath = machine.netnsPath!;
    record.network = await attachNetwork(context, record, { netnsPath, ...(mode === 'macvlan' ? { mode } : {}) });
  }
}

function newRecord(context: Context, request: cri.RunPodSandboxRequest): SandboxRecord {
  const { config, runtimeHandler = '' } = request;
  if (!config) throw new SampanError('Invalid', 'RunPodSandbox: config is missing');
  const handler = handlerOf(runtimeHandler);
  context.vmm(runtimeHandler);
  checkSandboxConfig(config, handler);
  networkModeOf(config, handler);
  checkSysctls(config, handler);
  const { shape, memoryLimitBytes } = machineShape(config.linux, context.options.defaults, handler);
  return {
    id: randomHex(32),
    state: 'creating',
    message: '',
    config,
    runtimeHandler,
    createdAtNanos: context.nowNanos(),
    shape,
    memoryLimitBytes,
    scratchBytes: scratchBytesOf(config.annotations),
    images: {},
    volumes: [],
    // On the host itself a share costs nothing.
    ...(wantsShares(config.annotations) || handler === 'namespace' ? { shares: true } : {}),
  };
}

/** The sum of the containers' ephemeral-storage limits, which CRI has no field for. Throws Invalid naming the annotation. */
function scratchBytesOf(annotations: Record<string, string> | undefined): number {
  const key = runtimeAnnotation.ephemeralStorage;
  const text = annotations?.[key];
  if (text === undefined) return defaultScratchBytes;
  const bytes = Number(text);
  if (!/^\d{1,16}$/.test(text) || bytes === 0)
    throw new SampanError('Invalid', `annotation ${key} is "${text}"; wanted bytes, in decimal`);
  return bytes;
}

/** CRI: all of the metadata together names a sandbox. People who type uids give several Pods the same. */
function refuseSecond(context: Context, sandbox: Sandbox): void {
  const key = ({ metadata: { name, namespace, uid, attempt = 0 } = {} }: cri.PodSandboxConfig) =>
    JSON.stringify([name, namespace, uid, attempt]);
  for (const other of context.sandboxes.values())
    if (key(other.record.config) === key(sandbox.record.config))
      throw new SampanError(
        'AlreadyExists',
        `Pod ${sandbox.podName} has sandbox ${other.id} for this attempt already; remove it first`,
      );
}

const hint = z.array(z.string().max(1024)).max(64);

/** Images that the node says the Pod will use are in the machine from the start. A hint that does not fit is no error. */
async function hintedImages(context: Context, sandbox: Sandbox, diskMade: Promise<unknown>): Promise<DiskAttachment[]> {
  const text = sandbox.record.config.annotations?.[runtimeAnnotation.images];
  if (text === undefined) return [];
  const { images, log } = context.options;
  try {
    const references = hint.parse(JSON.parse(text));
    const found = await Promise.all(references.map((reference) => images.get(reference)));
    const disks: DiskAttachment[] = [];
    for (const image of found) {
      if (!image || sandbox.record.images[image.id] || disks.length >= imageSlots) continue;
      const slot = `image${disks.length}`;
      sandbox.record.images[image.id] = slot;
      disks.push({ slot, path: image.blockImagePath, readOnly: true });
    }
    await diskMade;
    await Promise.all(Object.keys(sandbox.record.images).map((id) => images.pin(id, sandbox.id)));
    return disks;
  } catch (error) {
    log.warn({ sandboxId: sandbox.id, error: messageOf(error) }, 'image hint not used');
    sandbox.record.images = {};
    return [];
  }
}

/** What cannot be undone now (a CNI plugin fails at DEL) is shown as a sandbox that is not ready: whoever removes it tries again, and so does recover(). */
async function undo(context: Context, sandbox: Sandbox): Promise<void> {
  const { record } = sandbox;
  sandbox.stopping = true;
  // Nobody is told of it.
  record.state = 'creating';
  sandbox.link?.close(new SampanError('ServiceUnavailable', `sandbox ${sandbox.id} was given up`));
  try {
    await releaseResources(context, sandbox.id);
    await deleteSandbox(context.paths, sandbox.id);
    context.sandboxes.delete(sandbox.id);
  } catch (error) {
    context.log.error({ sandboxId: sandbox.id, error: messageOf(error) }, 'cannot undo a failed sandbox for now');
    record.state = 'notready';
    record.message = `it could not be made, nor undone: ${messageOf(error)}`.slice(0, 1024);
    await saveSandbox(context.paths, record).catch(() => {});
  }
}
