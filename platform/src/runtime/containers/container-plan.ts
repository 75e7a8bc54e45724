/** What a CreateContainer request comes to: image, volumes and the OCI spec, or the refusal. Talks to nobody but the image store. */
import { release } from 'node:os';
import { SampanError } from '@sampan/api/errors.ts';
import type { Image } from '../../images/images.ts';
import type { CreateContainer } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import * as cri from '../generated/cri.ts';
import { handlerOf } from '../sandbox/handlers.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import type { HostDevice } from '../spec/devices.ts';
import { findHostDevices } from '../spec/host-devices.ts';
import { ociSpec } from '../spec/oci-spec.ts';
import { containerUser } from '../spec/process.ts';
import { checkContainerConfig } from '../spec/refuse.ts';
import { localhostSeccomp } from '../spec/seccomp-file.ts';
import { planVolumes, type VolumePlan } from '../volumes/volume-plan.ts';
import type { Container } from './container.ts';

export interface ContainerPlan {
  config: cri.ContainerConfig;
  image: Image;
  volumes: VolumePlan;
  /** Text of its profile of kind Localhost. */
  seccompProfile?: string;
  /** Where the container runs on the host's kernel. */
  hostDevices?: HostDevice[];
}

/** Throws Invalid, Unsupported, NotFound naming what is wrong. */
export async function planContainer(
  context: Context,
  sandbox: Sandbox,
  config: cri.ContainerConfig | undefined,
): Promise<ContainerPlan> {
  if (!config) throw new SampanError('Invalid', 'CreateContainer: config is missing');
  const handler = handlerOf(sandbox.record.runtimeHandler);
  checkContainerConfig(config, handler);
  const reference = config.image!.image!;
  const [image, volumes, seccompProfile, hostDevices] = await Promise.all([
    context.options.images.get(reference),
    planVolumes({
      mounts: config.mounts ?? [],
      podUid: sandbox.record.config.metadata!.uid!,
      annotations: sandbox.record.config.annotations ?? {},
      podMemoryBytes: sandbox.record.memoryLimitBytes,
      handler,
    }),
    localhostSeccomp(config.linux?.securityContext),
    handler === 'namespace' ? findHostDevices(config.devices ?? []) : undefined,
  ]);
  if (!image) throw new SampanError('NotFound', `image "${reference}" is not on this node; pull it first`);
  const plan = { config, image, volumes, seccompProfile, hostDevices };
  // Also the spec's refusals come before anything is made.
  specOf(sandbox, '', plan);
  return plan;
}

export function guestRequest(
  sandbox: Sandbox,
  container: Container,
  plan: ContainerPlan,
): Omit<CreateContainer, 'imageSlot'> {
  const { config, image, volumes } = plan;
  const security = config.linux?.securityContext;
  const target = pidTarget(sandbox, security?.namespaceOptions);
  return {
    id: container.id,
    spec: specOf(sandbox, container.id, plan),
    mounts: volumes.mounts,
    readOnlyRootfs: security?.readonlyRootfs ?? false,
    tty: config.tty ?? false,
    stdin: config.stdin ?? false,
    stdinOnce: config.stdinOnce ?? false,
    user: containerUser(security, image.config),
    ...(target ? { pidNamespaceOf: target } : {}),
    ...(security?.namespaceOptions?.pid === cri.NamespaceMode.CONTAINER ? { ownPidNamespace: true } : {}),
  };
}

/** The runtime-spec config that the container's machine is given. Pure. */
export function specOf(sandbox: Sandbox, id: string, plan: ContainerPlan): object {
  const { config, image, volumes, seccompProfile, hostDevices } = plan;
  return ociSpec({
    id,
    hostname: sandbox.hostname,
    config,
    image: image.config,
    volumePaths: volumes.mounts.map((mount) => mount.containerPath),
    podMemoryBytes: sandbox.record.memoryLimitBytes,
    architecture: process.arch,
    ...(hostDevices ? { kernel: hostKernel() } : {}),
    ...(seccompProfile === undefined ? {} : { seccompProfile }),
    ...(hostDevices ? { hostDevices } : {}),
  });
}

function hostKernel(): [number, number] {
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  return [major, minor];
}

/** targetContainerName of an ephemeral container. Throws FailedPrecondition when that container does not run here. */
function pidTarget(sandbox: Sandbox, options: cri.NamespaceOption | undefined): string | undefined {
  if (options?.pid !== cri.NamespaceMode.TARGET) return undefined;
  const target = sandbox.containers.get(options.targetId ?? '');
  if (target?.record.state === 'running') return target.id;
  throw new SampanError(
    'FailedPrecondition',
    `container ${options.targetId} of Pod ${sandbox.podName}, whose processes are to be shared, is ${target?.record.state ?? 'not there'}; wanted running`,
  );
}
