/**
 * What the runtime has of a Pod, as records to decide by. Reads only; what can no longer change (an ended run) is read once.
 */
import { open } from 'node:fs/promises';
import { isReason } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type * as cri from '../runtime/generated/cri.ts';
import { ContainerState, PodSandboxState } from '../runtime/generated/cri.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { BackOff, ContainerRecord, RecordState, SandboxRecord } from './decide/model.ts';
import { annotation, label } from './labels.ts';
import { lastLines } from './logs/last-lines.ts';
import { pathsOf } from './paths.ts';

export interface Observed {
  sandboxes: SandboxRecord[];
  containers: ContainerRecord[];
}

/** kubelet's limits: what a status carries of a termination log, and of a log instead of one. */
const messageBytes = 4096;
const fallbackBytes = 2048;
const fallbackLines = 80;

export class Observer {
  readonly #runtime: Runtime;
  readonly #home: string;
  /** What a Pod with the host's network is reached at. */
  readonly #hostIps: string[];
  /** Ended runs by Pod uid, then container id. */
  readonly #ended = new Map<string, Map<string, ContainerRecord>>();

  constructor(runtime: Runtime, home: string, hostIps: string[] = []) {
    this.#runtime = runtime;
    this.#home = home;
    this.#hostIps = hostIps;
  }

  async observe(pod: Pod): Promise<Observed> {
    const uid = pod.metadata?.uid ?? '';
    const filter = { labelSelector: { [label.podUid]: uid } };
    const [{ items = [] }, { containers = [] }] = await Promise.all([
      this.#runtime.listPodSandbox({ filter }),
      this.#runtime.listContainers({ filter }),
    ]);
    const sandboxes = await Promise.all(items.map((item) => this.#sandbox(pod, item)));
    sandboxes.sort((a, b) => b.attempt - a.attempt || b.createdAtMs - a.createdAtMs);
    const ready = new Set(sandboxes.filter((sandbox) => sandbox.ready).map((sandbox) => sandbox.id));
    const records = await Promise.all(containers.map((item) => this.#container(pod, item, ready)));
    return { sandboxes, containers: records.filter((record) => record !== undefined) };
  }

  forget(uid: string): void {
    this.#ended.delete(uid);
  }

  async #sandbox(pod: Pod, item: cri.PodSandbox): Promise<SandboxRecord> {
    const ready = isReady(item.state);
    const { status } = ready ? await orGone(this.#runtime.podSandboxStatus({ podSandboxId: item.id })) : {};
    const { ip, additionalIps = [] } = status?.network ?? {};
    const own = [ip, ...additionalIps.map((one) => one.ip)].filter((one): one is string => !!one);
    const waitsForRoom = status?.annotations?.[annotation.waitsForRoom];
    return {
      id: item.id ?? '',
      attempt: item.metadata?.attempt ?? 0,
      ready: ready && status !== undefined && isReady(status.state),
      createdAtMs: toMs(item.createdAt),
      ips: ready && pod.spec?.hostNetwork ? this.#hostIps : own,
      ...(waitsForRoom === undefined ? {} : { waitsForRoom }),
    };
  }

  /** Undefined when the container went away while it was looked at. */
  async #container(pod: Pod, item: cri.Container, ready: Set<string>): Promise<ContainerRecord | undefined> {
    const uid = pod.metadata?.uid ?? '';
    const known = this.#ended.get(uid)?.get(item.id ?? '');
    if (known) return known;
    const { status } = await orGone(this.#runtime.containerStatus({ containerId: item.id }));
    if (!status) return undefined;
    const record = toRecord(status, item);
    // A container cannot run in a machine that is gone, whatever was last heard of it.
    if (record.state === 'running' && !ready.has(record.sandboxId)) return lostWithSandbox(record);
    if (record.state !== 'exited') return record;
    record.message = await this.#terminationMessage(pod, record, status);
    const ended = this.#ended.get(uid) ?? new Map();
    this.#ended.set(uid, ended.set(record.id, record));
    return record;
  }

  async #terminationMessage(pod: Pod, record: ContainerRecord, status: cri.ContainerStatus): Promise<string> {
    const policy = status.annotations?.[annotation.terminationMessagePolicy];
    const path = pathsOf(this.#home, pod).terminationLog(record.name, record.attempt);
    const text = (await readEnd(path, messageBytes)) || record.message;
    if (text || policy !== 'FallbackToLogsOnError' || record.exitCode === 0) return text;
    return lastLines(record.logPath, { lines: fallbackLines, bytes: fallbackBytes });
  }
}

function toRecord(status: cri.ContainerStatus, item: cri.Container): ContainerRecord {
  const annotations = status.annotations ?? {};
  return {
    id: status.id ?? '',
    name: status.metadata?.name ?? '',
    sandboxId: item.podSandboxId ?? '',
    attempt: status.metadata?.attempt ?? 0,
    state: stateOf(status.state),
    createdAtMs: toMs(status.createdAt),
    startedAtMs: toMs(status.startedAt),
    finishedAtMs: toMs(status.finishedAt),
    exitCode: status.exitCode ?? 0,
    reason: status.reason ?? '',
    message: status.message ?? '',
    image: status.image?.userSpecifiedImage || status.image?.image || '',
    imageRef: status.imageRef ?? '',
    specHash: annotations[annotation.hash] ?? '',
    ...parseBackOff(annotations[annotation.backOff]),
    logPath: status.logPath ?? '',
    ...userOf(status.user?.linux),
  };
}

function userOf(user: cri.LinuxContainerUser | undefined): Pick<ContainerRecord, 'user'> {
  if (!user) return {};
  const { uid = 0n, gid = 0n, supplementalGroups = [] } = user;
  return { user: { uid: Number(uid), gid: Number(gid), supplementalGroups: supplementalGroups.map(Number) } };
}

function lostWithSandbox(record: ContainerRecord): ContainerRecord {
  return {
    ...record,
    state: 'exited',
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The machine of the Pod ended while the container was running',
  };
}

/** SANDBOX_READY is the enum's zero, which the wire leaves out. */
const isReady = (state: cri.PodSandboxState | undefined): boolean => (state ?? 0) === PodSandboxState.SANDBOX_READY;

/** What was removed between being listed and being looked at is simply not there. */
async function orGone<T extends { status?: unknown }>(answer: Promise<T>): Promise<T | { status?: undefined }> {
  try {
    return await answer;
  } catch (error) {
    if (isReason(error, 'NotFound')) return {};
    throw error;
  }
}

/** A container whose state the runtime cannot tell is taken to run: it is never started twice. */
function stateOf(state: cri.ContainerState | undefined): RecordState {
  if (state === ContainerState.CONTAINER_EXITED) return 'exited';
  return state === ContainerState.CONTAINER_CREATED || state === undefined ? 'created' : 'running';
}

function parseBackOff(text: string | undefined): { backOff?: BackOff } {
  const match = /^(\d+)@(\d+)$/.exec(text ?? '');
  return match ? { backOff: { delayMs: Number(match[1]), updatedAtMs: Number(match[2]) } } : {};
}

const toMs = (nanos: bigint | undefined): number => Number((nanos ?? 0n) / 1_000_000n);

/** The last bytes of a file as text; '' when there is none. */
async function readEnd(path: string, limit: number): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limit), 0, limit, Math.max(0, size - limit));
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}
