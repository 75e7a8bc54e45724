/**
 * CreateContainer: everything that can be refused is refused first; then the container is made in the guest.
 *
 *   plan (pure) ──▶ record "creating" ──▶ { attach the image's disk, read volumes, wait for the agent } side by side
 *   ──▶ one burst of calls: bindDisk, createVolume + putFiles each, createContainer ──▶ record "created" ──▶ answer
 *
 * The burst is sent without waiting in between (the agent keeps the order), also right behind the sandbox's setup call.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { randomHex } from '../../base/ids.ts';
import type { Image } from '../../images/images.ts';
import type { Agent, CreateContainer, GuestUser } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import * as cri from '../generated/cri.ts';
import { logPathOf } from '../logs/log-path.ts';
import { type ContainerRecord, deleteContainer, saveContainer } from '../records/container-record.ts';
import { saveSandbox } from '../records/sandbox-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { ensureShares } from '../sandbox/vm/sandbox-shares.ts';
import { type LoadedVolume, loadVolumes, makeVolumes, watchVolumes } from '../volumes/volume-make.ts';
import type { VolumePlan } from '../volumes/volume-plan.ts';
import { Container } from './container.ts';
import { emitEvent } from './container-event.ts';
import { startPump } from './container-output.ts';
import { guestRequest, planContainer } from './container-plan.ts';
import { attachImage } from './image-attach.ts';
import { stopSignalOf } from './stop-signal.ts';

export async function createContainer(
  context: Context,
  request: cri.CreateContainerRequest,
): Promise<cri.CreateContainerResponse> {
  const sandbox = readySandbox(context, request.podSandboxId);
  const plan = await planContainer(context, sandbox, request.config);
  await ensureShares(context, sandbox, plan.volumes.volumes);
  readySandbox(context, sandbox.id);
  const container = new Container(newRecord(context, sandbox, plan.config, plan.image, plan.volumes));
  refuseSecond(sandbox, container);
  sandbox.containers.set(container.id, container);
  try {
    await context.step('container-record');
    await saveContainer(context.paths, container.record);
    const made = makeInGuest(context, sandbox, plan.image, plan.volumes, guestRequest(sandbox, container, plan));
    const pump = startPump(context, sandbox, container, { after: made });
    const [{ user }] = await Promise.all([made, pump.opened]);
    if (user) container.record.user = user;
    await context.step('container-created');
    stillWanted(context, sandbox, container);
    container.record.state = 'created';
    await Promise.all([
      saveContainer(context.paths, container.record),
      plan.volumes.volumes.length > 0 ? saveSandbox(context.paths, sandbox.record) : undefined,
    ]);
    await context.step('container-answer');
    stillThere(context, sandbox);
  } catch (error) {
    await undo(context, sandbox, container);
    throw error;
  }
  context.containers.set(container.id, container);
  watchVolumes(context, sandbox);
  emitEvent(context, sandbox, container, cri.ContainerEventType.CONTAINER_CREATED_EVENT);
  return { containerId: container.id };
}

/** Throws NotFound, FailedPrecondition. */
function readySandbox(context: Context, id: string | undefined): Sandbox {
  const sandbox = context.sandbox(id);
  const { state, message } = sandbox.record;
  if (state !== 'ready' || sandbox.stopping)
    throw new SampanError(
      'FailedPrecondition',
      `sandbox ${sandbox.id} of Pod ${sandbox.podName} is ${state}, wanted ready${message ? `: ${message}` : ''}`,
    );
  return sandbox;
}

/** The sandbox may have been stopped, or its machine have ended, while the container was made. Throws FailedPrecondition, NotFound. */
function stillWanted(context: Context, sandbox: Sandbox, container: Container): void {
  stillThere(context, sandbox);
  readySandbox(context, sandbox.id);
  if (container.finishing)
    throw new SampanError('FailedPrecondition', `sandbox ${sandbox.id} of Pod ${sandbox.podName} has been stopped`);
}

/** Throws NotFound: a container of a sandbox that was removed would be nobody's. */
function stillThere(context: Context, sandbox: Sandbox): void {
  if (!context.sandboxes.has(sandbox.id)) throw new SampanError('NotFound', `sandbox "${sandbox.id}" not found`);
}

async function makeInGuest(
  context: Context,
  sandbox: Sandbox,
  image: Image,
  plan: VolumePlan,
  request: Omit<CreateContainer, 'imageSlot'>,
): Promise<{ user?: GuestUser }> {
  const link = sandbox.link!;
  await context.step('container-attach');
  const [{ agent, isSetUp }, loaded, disk] = await Promise.all([
    link.connected(),
    loadVolumes(sandbox, plan.volumes),
    attachImage(context, sandbox, image),
  ]);
  await context.step('container-guest');
  const { created, before } = burst(sandbox, agent, loaded, plan, disk.bind, { ...request, imageSlot: disk.slot });
  const outcome = await Promise.allSettled([isSetUp, ...before, created]);
  // The first call that failed says why; those behind it only that something before them had.
  const failed = outcome.find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
  return created;
}

/** All calls are made in this one turn of the event loop. */
function burst(
  sandbox: Sandbox,
  agent: Agent,
  loaded: LoadedVolume[],
  plan: VolumePlan,
  bind: (agent: Agent) => Promise<void>,
  request: CreateContainer,
): { created: Promise<{ user?: GuestUser }>; before: Promise<void>[] } {
  const bound = bind(agent);
  const made = makeVolumes(sandbox, agent, loaded);
  const known = plan.volumes.map(({ volume }) => sandbox.volumes.get(volume.id));
  const created = agent.createContainer(request);
  return { created, before: [bound, ...made, ...known.filter((each) => each !== undefined)] };
}

function newRecord(
  context: Context,
  sandbox: Sandbox,
  config: cri.ContainerConfig,
  image: Image,
  plan: VolumePlan,
): ContainerRecord {
  return {
    id: randomHex(32),
    sandboxId: sandbox.id,
    state: 'creating',
    config,
    imageId: image.id,
    imageRef: image.repoDigests[0] ?? image.id,
    logPath: logPathOf(sandbox.record.config, config),
    stopSignal: stopSignalOf(config, image),
    mounts: plan.mounts,
    createdAtNanos: context.nowNanos(),
    startedAtNanos: 0n,
  };
}

/** CRI: one container for each (name, attempt) of a sandbox. */
function refuseSecond(sandbox: Sandbox, container: Container): void {
  const key = ({ record }: Container) => `${record.config.metadata?.name}/${record.config.metadata?.attempt ?? 0}`;
  for (const other of sandbox.containers.values())
    if (key(other) === key(container))
      throw new SampanError(
        'AlreadyExists',
        `Pod ${sandbox.podName} has container ${other.id} named ${other.name} for this attempt already; remove it first`,
      );
}

async function undo(context: Context, sandbox: Sandbox, container: Container): Promise<void> {
  sandbox.containers.delete(container.id);
  await container.pump?.stop();
  try {
    if (sandbox.record.state === 'ready' && !sandbox.stopping) {
      const agent = await sandbox.link?.ready();
      await agent?.removeContainer(container.id);
    }
  } catch (error) {
    context.log.warn(
      { containerId: container.id, error: messageOf(error) },
      'cannot undo a failed container in the guest',
    );
  }
  await deleteContainer(context.paths, container.record);
}
