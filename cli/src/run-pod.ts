/** The Pod that `sampan run` asks for: pure. */
import type { KubeObject } from '@sampan/api/client.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import { Failure, registryMend } from './failure.ts';
import { labelsOf, mountOf, portOf, pullPolicyOf, restartPolicyOf, securityOf } from './run-parts.ts';

export interface RunOptions {
  rm?: boolean;
  interactive?: boolean;
  tty?: boolean;
  detach?: boolean;
  env?: string[];
  cpus?: string;
  memory?: string;
  name?: string;
  namespace: string;
  pull: string;
  publish?: string[];
  volume?: string[];
  label?: string[];
  user?: string;
  workdir?: string;
  entrypoint?: string;
  readOnly?: boolean;
  restart?: string;
  /** A RuntimeClass. */
  runtime?: string;
  dryRun?: boolean;
  output?: string;
}

interface ContainerState {
  running?: object;
  waiting?: { reason?: string; message?: string };
  terminated?: { exitCode: number };
}

export interface RunPod extends KubeObject {
  spec?: object;
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: { type: string; status: string; message?: string }[];
    containerStatuses?: { state?: ContainerState }[];
  };
}

/** Throws when options are asked for that rule each other out. Pure. */
export function refuseTogether({ rm, detach, dryRun, restart = 'no' }: RunOptions): void {
  if (rm && detach)
    throw new Failure('--rm does not go with -d', {
      why: 'nobody stays to remove the Pod when it ends',
      mend: 'leave out one of them; ./sampan rm removes it later. A Job with ttlSecondsAfterFinished goes by itself',
    });
  if (restart !== 'no' && !detach && !dryRun)
    throw new Failure(`--restart ${restart} wants -d`, {
      why: 'a run that is watched ends with its container',
      mend: 'add -d; ./sampan logs -f follows it',
    });
}

export function podOf(image: string, command: string[], options: RunOptions): RunPod {
  const limits = {
    ...(options.cpus === undefined ? {} : { cpu: amount('--cpus', options.cpus, '0.5 or 250m') }),
    ...(options.memory === undefined ? {} : { memory: memoryAmount(options.memory) }),
  };
  const mounts = (options.volume ?? []).map(mountOf);
  const security = {
    ...(options.user === undefined ? {} : securityOf(options.user)),
    ...(options.readOnly ? { readOnlyRootFilesystem: true } : {}),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(options.name ? { name: options.name } : { generateName: `${baseName(image)}-` }),
      labels: { 'sampan.dev/created-by': 'run', ...labelsOf(options.label ?? []) },
    },
    spec: {
      restartPolicy: restartPolicyOf(options.restart ?? 'no'),
      ...(options.runtime === undefined ? {} : { runtimeClassName: options.runtime }),
      terminationGracePeriodSeconds: 5,
      containers: [
        {
          name: 'main',
          image,
          imagePullPolicy: pullPolicyOf(options.pull),
          ...(options.entrypoint === undefined ? {} : { command: [options.entrypoint] }),
          ...(command.length > 0 ? { args: command } : {}),
          ...(options.workdir === undefined ? {} : { workingDir: options.workdir }),
          env: (options.env ?? []).map(envVariable),
          stdin: Boolean(options.interactive),
          stdinOnce: Boolean(options.interactive),
          tty: Boolean(options.tty),
          resources: Object.keys(limits).length > 0 ? { limits } : {},
          ...(options.publish?.length ? { ports: options.publish.map(portOf) } : {}),
          ...(mounts.length > 0 ? { volumeMounts: mounts.map(({ volumeMount }) => volumeMount) } : {}),
          ...(Object.keys(security).length > 0 ? { securityContext: security } : {}),
        },
      ],
      ...(mounts.length > 0 ? { volumes: mounts.map(({ volume }) => volume) } : {}),
    },
  };
}

function amount(option: string, text: string, such: string): string {
  if (tryParseQuantity(text)) return text;
  throw new Failure(`${option} ${text || "''"} is no amount`, {
    why: `Kubernetes writes amounts such as ${such}`,
    mend: `give ${option} one of that form`,
  });
}

/** With docker's letters, of which `m` means a thousandth to Kubernetes. */
function memoryAmount(text: string): string {
  amount('--memory', text, '256Mi or 1Gi');
  if (!text.endsWith('m')) return text;
  throw new Failure(`--memory ${text} is next to nothing`, {
    why: 'in Kubernetes m is a thousandth of a byte',
    mend: `--memory ${text.slice(0, -1)}Mi`,
  });
}

const image = 'check the image name; ./sampan image ls shows what is here already';
const command = 'check the command behind --, and what the image has; --memory gives it more room';
const mends: Record<string, string> = {
  ErrImagePull: image,
  ImagePullBackOff: image,
  InvalidImageName: image,
  ErrImageNeverPull: image,
  CreateContainerConfigError: 'mend what it asks for, then run it again',
  CreateContainerError: command,
  RunContainerError: command,
};

/** What to do about a container that waits for this reason; undefined for reasons that pass. A Pod's status says in words alone that a registry knows nobody. */
export const startMend = (reason: string, message = ''): string | undefined =>
  mends[reason] && / registry wants /.test(message) ? registryMend : mends[reason];

function envVariable(text: string): { name: string; value: string } {
  const at = text.indexOf('=');
  if (at > 0) return { name: text.slice(0, at), value: text.slice(at + 1) };
  const value = process.env[text];
  if (value === undefined)
    throw new Failure(`-e ${text} has no value`, { why: `${text} is not set here`, mend: `give -e ${text}=value` });
  return { name: text, value };
}

/** `docker.io/library/nginx:1.25` -> `nginx`: a DNS label to build a Pod's name from. */
export function baseName(image: string): string {
  const last = image.split('@')[0]!.split('/').pop()!.split(':')[0]!;
  return (
    last
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 40) || 'pod'
  );
}
