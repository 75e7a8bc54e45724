/** The Pod that `sampan run` asks for: pure. */
import type { KubeObject } from '@sampan/api/client.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import { Failure } from './failure.ts';

export interface RunOptions {
  rm?: boolean;
  interactive?: boolean;
  tty?: boolean;
  detach?: boolean;
  env: string[];
  cpus?: string;
  memory?: string;
  name?: string;
  namespace: string;
  pull: string;
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

export function podOf(image: string, command: string[], options: RunOptions): RunPod {
  const limits = {
    ...(options.cpus === undefined ? {} : { cpu: amount('--cpus', options.cpus, '0.5 or 250m') }),
    ...(options.memory === undefined ? {} : { memory: amount('--memory', options.memory, '256Mi or 1Gi') }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(options.name ? { name: options.name } : { generateName: `${baseName(image)}-` }),
      labels: { 'sampan.dev/created-by': 'run' },
    },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      containers: [
        {
          name: 'main',
          image,
          imagePullPolicy: options.pull,
          ...(command.length > 0 ? { args: command } : {}),
          env: options.env.map(envVariable),
          stdin: Boolean(options.interactive),
          stdinOnce: Boolean(options.interactive),
          tty: Boolean(options.tty),
          resources: Object.keys(limits).length > 0 ? { limits } : {},
        },
      ],
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

/** What to do about a container that waits for this reason; undefined for reasons that pass. */
export const startMend = (reason: string): string | undefined => mends[reason];

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
