/** A container as CRI's ContainerConfig. */
import { machineSize } from '@sampan/api/pod-size.ts';
import type { Container, EphemeralContainer, Pod } from 'kubernetes-types/core/v1.js';
import type * as cri from '../../runtime/generated/cri.ts';
import type { BackOff } from '../decide/model.ts';
import { specHash } from '../decide/spec-hash.ts';
import { annotation, label, podLabels } from '../labels.ts';
import { logPathOf, type PodPaths } from '../paths.ts';
import { expand } from './expand.ts';
import { containerMounts } from './mounts.ts';
import { containerResources } from './resources.ts';
import { containerSecurity } from './security.ts';

export interface ContainerConfigInput {
  pod: Pod;
  container: Container | EphemeralContainer;
  paths: PodPaths;
  attempt: number;
  backOff?: BackOff;
  env: ReadonlyMap<string, string>;
  /** What the image's name resolved to, and the user it names. */
  image: { ref: string; uid?: bigint; username: string };
  /** The container whose processes an ephemeral container sees. */
  targetId?: string;
}

/** Throws Invalid (CreateContainerConfigError) when the container asks for what the Pod does not have. */
export function containerConfig(input: ContainerConfigInput): cri.ContainerConfig {
  const { pod, container, attempt, env } = input;
  const lookup = (name: string) => env.get(name);
  return {
    metadata: { name: container.name, attempt },
    image: { image: input.image.ref, userSpecifiedImage: container.image ?? '' },
    command: (container.command ?? []).map((word) => expand(word, lookup)),
    args: (container.args ?? []).map((word) => expand(word, lookup)),
    workingDir: container.workingDir ?? '',
    envs: [...env].map(([key, value]) => ({ key, value: new TextEncoder().encode(value) })),
    mounts: containerMounts({ pod, container: container as Container, paths: input.paths, attempt, env }),
    labels: { ...podLabels(pod), [label.containerName]: container.name },
    annotations: annotationsOf(input),
    logPath: logPathOf(container.name, attempt),
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    linux: {
      resources: containerResources(pod, container, machineSize(pod)),
      securityContext: containerSecurity(pod, container, {
        ...input.image,
        targetId: input.targetId,
        seccompDirectory: input.paths.seccompDirectory,
      }),
    },
  };
}

function annotationsOf({ container, attempt, backOff }: ContainerConfigInput): Record<string, string> {
  return {
    [annotation.hash]: specHash(container),
    [annotation.restartCount]: String(attempt),
    [annotation.terminationMessagePath]: container.terminationMessagePath ?? '',
    [annotation.terminationMessagePolicy]: container.terminationMessagePolicy ?? '',
    ...(backOff ? { [annotation.backOff]: `${backOff.delayMs}@${backOff.updatedAtMs}` } : {}),
  };
}
