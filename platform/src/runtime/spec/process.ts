/** What runs in a container: image config and CRI config merged as Kubernetes documents ("Define a command and arguments"). Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type { ImageConfig } from '../../images/images.ts';
import * as cri from '../generated/cri.ts';

export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `command` replaces the entrypoint and drops the image's cmd; `args` alone replaces the cmd. Throws Invalid when nothing is left to run. */
export function containerArgs(config: cri.ContainerConfig, image: ImageConfig): string[] {
  const { command = [], args = [] } = config;
  const entrypoint = command.length > 0 ? command : (image.Entrypoint ?? []);
  const rest = args.length > 0 ? args : command.length > 0 ? [] : (image.Cmd ?? []);
  const all = [...entrypoint, ...rest];
  if (all.length === 0)
    throw new SampanError(
      'Invalid',
      `container ${config.metadata?.name}: no command specified, and image ${config.image?.image} has none; set command`,
    );
  return all;
}

/** The image's variables, then the Pod's over them; PATH, TERM (with a tty) and HOSTNAME where nobody set them. */
export function containerEnv(config: cri.ContainerConfig, image: ImageConfig, hostname: string): string[] {
  const env = new Map<string, string>();
  for (const pair of image.Env ?? []) {
    const at = pair.indexOf('=');
    if (at > 0) env.set(pair.slice(0, at), pair.slice(at + 1));
  }
  if (!env.has('PATH')) env.set('PATH', defaultPath);
  if (config.tty && !env.has('TERM')) env.set('TERM', 'xterm');
  env.set('HOSTNAME', hostname);
  for (const { key, value } of config.envs ?? []) if (key) env.set(key, textOf(value));
  return [...env].map(([key, value]) => `${key}=${value}`);
}

/** Older clients send text where newer CRI says bytes. */
function textOf(value: Uint8Array | string | undefined): string {
  return typeof value === 'string' ? value : Buffer.from(value ?? []).toString('utf8');
}

/**
 * The user as the agent resolves it in the image's passwd ("1000", "1000:1000", "nginx"): runAsUser, else runAsUsername, else the image's.
 * The group of the image's user is kept only with that user.
 */
export function containerUser(
  security: cri.LinuxContainerSecurityContext | undefined,
  image: ImageConfig,
): { name: string; supplementalGroups: number[]; strictGroups?: boolean } {
  const uid = security?.runAsUser?.value;
  const gid = security?.runAsGroup?.value;
  const asked = uid !== undefined ? uid.toString() : security?.runAsUsername;
  const name = asked || image.User || '0';
  const withGroup = gid === undefined ? name : `${name.split(':')[0]}:${gid}`;
  const supplementalGroups = (security?.supplementalGroups ?? []).map(Number);
  const isStrict = security?.supplementalGroupsPolicy === cri.SupplementalGroupsPolicy.Strict;
  return { name: withGroup, supplementalGroups, ...(isStrict ? { strictGroups: true } : {}) };
}

/** Names of image-spec's StopSignal ("SIGTERM", "TERM", "15", "SIGRTMIN+3") to the number; undefined for nonsense. */
export function signalNumber(name: string | undefined): number | undefined {
  if (!name) return undefined;
  if (/^\d{1,2}$/.test(name)) return within(Number(name));
  const short = name.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RT(MIN|MAX)(?:(?:\+|PLUS|-|MINUS)(\d{1,2}))?$/.exec(short);
  if (realtime) {
    const distance = Number(realtime[2] ?? 0);
    return within(realtime[1] === 'MIN' ? 34 + distance : 64 - distance);
  }
  return signals[short];
}

const within = (value: number) => (value >= 1 && value <= 64 ? value : undefined);

/** signal(7), x86-64 and arm64. */
const signals: Record<string, number> = {
  HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, IOT: 6, BUS: 7, FPE: 8, KILL: 9, USR1: 10, SEGV: 11, USR2: 12, PIPE: 13, ALRM: 14,
  TERM: 15, STKFLT: 16, CHLD: 17, CLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26,
  PROF: 27, WINCH: 28, IO: 29, POLL: 29, PWR: 30, SYS: 31,
}; // biome-ignore format: a table
