/**
 * What is known of a Pod when its next step is decided, and the steps there are. Plain data: no clock, no client, no runtime.
 *
 *   no sandbox ──createSandbox──▶ sandbox ready ──▶ init containers, sidecars in order ──▶ main containers
 *        ▲                             │ lost (VM died)                                        │ all done, deleted,
 *        └──── restart policy ─────────┘                                                       ▼ deadline, evicted
 *                                        stop containers (mains, then sidecars backwards) ──▶ stop sandbox ──▶ finish
 */
import type { Container, EphemeralContainer, Pod } from 'kubernetes-types/core/v1.js';

/** A Pod sandbox as the runtime has it. */
export interface SandboxRecord {
  id: string;
  attempt: number;
  ready: boolean;
  createdAtMs: number;
  ips: string[];
  /** Its machine stands still since there is no room in this directory of the node. */
  waitsForRoom?: string;
}

export type RecordState = 'created' | 'running' | 'exited';

/** A container as the runtime has it; one run of a container of the Pod. */
export interface ContainerRecord {
  /** '' when the runtime no longer knows it and the Pod's last written status is all that is left. */
  id: string;
  name: string;
  sandboxId: string;
  /** 0 for the first run: what the Pod's status calls restartCount. */
  attempt: number;
  state: RecordState;
  createdAtMs: number;
  startedAtMs: number;
  finishedAtMs: number;
  exitCode: number;
  reason: string;
  message: string;
  /** The image's name, and what it resolved to (imageID in the status). */
  image: string;
  imageRef: string;
  /** Hash of the container's spec when it was created; '' when unknown. */
  specHash: string;
  /** The back-off this run was started under: how the next one is reckoned, also after the server was killed. */
  backOff?: BackOff;
  /** Absolute path of its log. */
  logPath: string;
  /** Whom its first process runs as, where the runtime tells. */
  user?: { uid: number; gid: number; supplementalGroups: number[] };
}

/** Restart back-off of one container (client-go's flowcontrol.Backoff entry). */
export interface BackOff {
  delayMs: number;
  /** When it was last raised. */
  updatedAtMs: number;
}

export type ProbeKind = 'startup' | 'readiness' | 'liveness';
export type ProbeResult = 'success' | 'failure';

/** Results by container id; absent while a probe has not come to a result. */
export type ProbeResults = ReadonlyMap<string, Partial<Record<ProbeKind, ProbeResult>>>;

export interface Waiting {
  reason: string;
  message: string;
}

/** Why a container could not be started, and when to try again. */
export interface StartFailure extends Waiting {
  retryAtMs: number;
  /** How long was waited: the next wait is twice as long. */
  delayMs?: number;
}

/** The node will not have the Pod: it used too much, or did not fit in the first place. */
export interface Eviction {
  reason: string;
  message: string;
  atMs: number;
  /** It ran before: controllers are told that it was disturbed. */
  disrupted: boolean;
}

export interface PodView {
  /** The object as last seen, also after it is gone. */
  pod: Pod;
  /** The object is no longer in the API: since when, and how long its containers may take. */
  gone?: { atMs: number; graceSeconds: number };
  eviction?: Eviction;
  /** Newest first. */
  sandboxes: SandboxRecord[];
  containers: ContainerRecord[];
  probes: ProbeResults;
  startFailures: ReadonlyMap<string, StartFailure>;
  sandboxFailure?: StartFailure;
  /** Keys of steps under way (see keyOf). */
  busy: ReadonlySet<string>;
  /** The terminal status is in the API. */
  finalStatusWritten: boolean;
  /** Volumes and machine of an ended Pod were let go of already. */
  cleanedUp: boolean;
  nowMs: number;
}

export type ContainerKind = 'init' | 'main' | 'ephemeral';

export type Action =
  | { type: 'createSandbox'; attempt: number; replaces: string[] }
  | {
      type: 'startContainer';
      name: string;
      kind: ContainerKind;
      sandboxId: string;
      attempt: number;
      /** A container that was created by a server before us and never started. */
      existingId?: string;
      backOff?: BackOff;
    }
  | { type: 'stopContainer'; id: string; name: string; graceMs: number; reason: string; message: string }
  | { type: 'removeContainer'; id: string; name: string }
  | { type: 'stopSandbox'; id: string }
  | { type: 'removeSandbox'; id: string }
  /** The Pod ended but its object stays: let go of volumes. */
  | { type: 'cleanUp' }
  /** The Pod is to go: remove everything of it, then its object. */
  | { type: 'finish' };

export interface Decision {
  actions: Action[];
  /** Containers kept from starting by back-off. */
  waiting: Map<string, Waiting>;
  /** Set while the Pod is on its way out: starts under way are to be given up. */
  ending?: Ending;
  /** Decide again at the latest then. */
  wakeAtMs?: number;
}

export interface Ending {
  cause: 'deleted' | 'gone' | 'evicted' | 'deadline' | 'finished';
  /** Containers get until then. */
  untilMs: number;
  /** The status' reason and message, where the cause sets one. */
  reason?: string;
  message?: string;
}

/** Names the thing a step works on: two steps with one key never run at a time. */
export function keyOf(action: Action): string {
  switch (action.type) {
    case 'startContainer':
      return startKey(action.name);
    case 'stopContainer':
      return `stop:${action.id}`;
    case 'removeContainer':
      return `remove:${action.id}`;
    case 'createSandbox':
      return sandboxKey;
    case 'stopSandbox':
    case 'removeSandbox':
      return `sandbox:${action.id}`;
    case 'cleanUp':
    case 'finish':
      return 'finish';
  }
}

export const sandboxKey = 'sandbox';
export const startKey = (name: string): string => `start:${name}`;

export const specOf = (pod: Pod) => pod.spec!;
export const initContainers = (pod: Pod): Container[] => pod.spec?.initContainers ?? [];
export const ephemeralContainers = (pod: Pod): EphemeralContainer[] => pod.spec?.ephemeralContainers ?? [];
/** An init container that keeps running beside the main ones. */
export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';
export const restartPolicyOf = (pod: Pod): string => pod.spec?.restartPolicy ?? 'Always';
export const graceSecondsOf = (pod: Pod): number => pod.spec?.terminationGracePeriodSeconds ?? 30;
export const isTerminalPhase = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

/** The latest run of a container, of one sandbox or (without `sandboxId`) of any. */
export function latestRun(
  containers: readonly ContainerRecord[],
  name: string,
  sandboxId?: string,
): ContainerRecord | undefined {
  return runsOf(containers, name).find((record) => sandboxId === undefined || record.sandboxId === sandboxId);
}

/** Runs of one container, newest first. */
export function runsOf(containers: readonly ContainerRecord[], name: string): ContainerRecord[] {
  return containers
    .filter((record) => record.name === name)
    .sort((a, b) => b.attempt - a.attempt || b.createdAtMs - a.createdAtMs);
}

/** The earlier of two times, where there are any. */
export function earliest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
