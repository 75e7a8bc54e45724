/** Starts one run of a container: image, volumes, configuration, create, start, postStart. Each failure has the reason kubelet gives it. */
import { dirname } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Container, EphemeralContainer } from 'kubernetes-types/core/v1.js';
import { ensureDirectory, writeFileAtomic } from '../../base/files.ts';
import { containerConfig } from '../config/container-config.ts';
import { containerEnv } from '../config/env.ts';
import { podHostname } from '../config/hostname.ts';
import { hostsFile } from '../config/hosts-file.ts';
import { sandboxConfig } from '../config/sandbox-config.ts';
import { runAsNonRootFault } from '../config/security.ts';
import {
  type Action,
  type ContainerRecord,
  ephemeralContainers,
  initContainers,
  latestRun,
  type SandboxRecord,
  specOf,
} from '../decide/model.ts';
import type { ReadyImage } from '../images/image-puller.ts';
import { pathsOf } from '../paths.ts';
import type { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';
import { podFacts, prepareVolumes } from './prepare-volumes.ts';
import { orStartError, StartError } from './start-error.ts';

export interface StartInput {
  action: Extract<Action, { type: 'startContainer' }>;
  sandbox: SandboxRecord;
  containers: ContainerRecord[];
  signal: AbortSignal;
}

/** Throws StartError, VolumeError, or the signal's reason. Returns the id of the container, which runs. */
export async function startContainer(context: NodeContext, state: PodState, input: StartInput): Promise<string> {
  const { action, signal } = input;
  const container = containerOf(state, action.name);
  let id = action.existingId;
  if (id === undefined) {
    const [image] = await Promise.all([
      context.images.ensure(state.pod, container, signal),
      prepareVolumes(context, state),
    ]);
    signal.throwIfAborted();
    id = await create(context, state, { ...input, container, image });
  }
  signal.throwIfAborted();
  await run(context, state, { container, id });
  if ('lifecycle' in container && container.lifecycle?.postStart) {
    const { postStart } = container.lifecycle;
    await context.hooks.postStart({
      pod: state.pod,
      container,
      hook: postStart,
      id,
      podIPs: input.sandbox.ips,
      signal,
    });
  }
  return id;
}

interface CreateInput extends StartInput {
  container: Container | EphemeralContainer;
  image: ReadyImage;
}

async function create(context: NodeContext, state: PodState, input: CreateInput): Promise<string> {
  const { container, sandbox } = input;
  const config = await orStartError('CreateContainerConfigError', () => configure(context, state, input)).catch(
    (error) => failed(context, state, container.name, error),
  );
  const created = await orStartError('CreateContainerError', () =>
    context.runtime.createContainer({
      podSandboxId: sandbox.id,
      config,
      sandboxConfig: sandboxConfig({
        pod: state.pod,
        attempt: sandbox.attempt,
        logDirectory: pathsOf(context.home, state.pod).logDirectory,
        hostResolvConf: context.hostResolvConf,
        presentImages: [],
      }),
    }),
  ).catch((error) => failed(context, state, container.name, error));
  const message = `Created container: ${container.name}`;
  context.events.container(state.pod, container.name, { type: 'Normal', reason: 'Created', message });
  return created.containerId ?? '';
}

async function configure(context: NodeContext, state: PodState, input: CreateInput) {
  const { action, container, image, sandbox } = input;
  const pod = state.pod;
  const fault = runAsNonRootFault(pod, container, image);
  if (fault) throw new SampanError('Invalid', fault);
  const paths = pathsOf(context.home, pod);
  const env = await containerEnv({
    container,
    facts: podFacts(context, state, sandbox.ips),
    objects: context.objects,
    apiServer: context.apiServer,
    services: (namespace) => context.services(namespace),
  });
  const config = containerConfig({
    pod,
    container,
    paths,
    attempt: action.attempt,
    env,
    image,
    ...(action.backOff ? { backOff: action.backOff } : {}),
    ...targetOf(container, input.containers),
  });
  await Promise.all([
    writeHosts(context, state, sandbox),
    ...(container.terminationMessagePath ? [emptyFile(paths.terminationLog(container.name, action.attempt))] : []),
  ]);
  return config;
}

/** The running container whose processes an ephemeral container is to see. Throws when there is none. */
function targetOf(container: Container | EphemeralContainer, containers: ContainerRecord[]): { targetId?: string } {
  const name = 'targetContainerName' in container ? container.targetContainerName : undefined;
  if (!name) return {};
  const target = latestRun(containers, name);
  if (target?.state !== 'running')
    throw new SampanError('FailedPrecondition', `target container "${name}" is not running`);
  return { targetId: target.id };
}

async function run(
  context: NodeContext,
  state: PodState,
  { container, id }: { container: Container | EphemeralContainer; id: string },
): Promise<void> {
  await orStartError('RunContainerError', () => context.runtime.startContainer({ containerId: id })).catch((error) =>
    failed(context, state, container.name, error),
  );
  const message = `Started container ${container.name}`;
  context.events.container(state.pod, container.name, { type: 'Normal', reason: 'Started', message });
}

function failed(context: NodeContext, state: PodState, name: string, error: unknown): never {
  const message = `Error: ${messageOf(error)}`;
  context.events.container(state.pod, name, { type: 'Warning', reason: 'Failed', message });
  throw error;
}

async function writeHosts(context: NodeContext, state: PodState, sandbox: SandboxRecord): Promise<void> {
  const wanted = sandbox.ips.join(',');
  if (state.hostsFor === wanted) return;
  const { hostsFile: path } = pathsOf(context.home, state.pod);
  await ensureDirectory(dirname(path));
  const text = hostsFile(podHostname(state.pod), sandbox.ips, state.pod.spec?.hostAliases ?? []);
  await writeFileAtomic(path, text, { durable: false });
  state.hostsFor = wanted;
}

async function emptyFile(path: string): Promise<void> {
  await ensureDirectory(dirname(path));
  await writeFileAtomic(path, '', { mode: 0o666, durable: false });
}

function containerOf({ pod }: PodState, name: string): Container | EphemeralContainer {
  const all = [...specOf(pod).containers, ...initContainers(pod), ...ephemeralContainers(pod)];
  const container = all.find((one) => one.name === name);
  if (!container) throw new StartError('CreateContainerConfigError', `the Pod has no container "${name}"`);
  return container;
}
