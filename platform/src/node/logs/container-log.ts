/** Which file a log request means, and why there may be none: kubelet's validateContainerLogStatus and its sentences. */
import { SampanError } from '@sampan/api/errors.ts';
import type { ContainerStatus } from 'kubernetes-types/core/v1.js';
import type { NodeContext } from '../act/context.ts';
import { type ContainerRecord, ephemeralContainers, initContainers, runsOf, specOf } from '../decide/model.ts';
import type { LogOptions } from '../gateway.ts';
import type { Observer } from '../observe.ts';
import type { PodState } from '../pod-state.ts';
import { Follower } from './follower.ts';
import { type ReadLogOptions, readLog } from './read-log.ts';

export interface LogRequest {
  context: NodeContext;
  observer: Observer;
  state: PodState;
  options: LogOptions;
  signal: AbortSignal;
}

/** Throws BadRequest when there is no log to read yet. */
export async function containerLog(request: LogRequest): Promise<AsyncIterable<Uint8Array>> {
  const { context, observer, state, options, signal } = request;
  const { container, previous, follow } = options;
  const { containers } = await observer.observe(state.object);
  const runs = runsOf(containers, container).filter((record) => record.state !== 'created');
  const run = previous ? previousRun(state, container, runs) : runs[0];
  if (!run) throw noLog(state, options);
  const { timestamps, tailLines, limitBytes, sinceTime } = options;
  const read: ReadLogOptions = { path: run.logPath, timestamps, tailLines, limitBytes, sinceTime };
  if (!follow || run.state !== 'running') return readLog(read);
  const isEnded = async () => {
    const now = (await observer.observe(state.object)).containers.find((record) => record.id === run.id);
    return now?.state !== 'running';
  };
  return followed(state, read, new Follower({ path: run.logPath, clock: context.clock, signal, isEnded }));
}

async function* followed(state: PodState, read: ReadLogOptions, follower: Follower): AsyncGenerator<Uint8Array> {
  state.watchers.add(follower.look);
  try {
    yield* readLog({ ...read, follow: follower });
  } finally {
    state.watchers.delete(follower.look);
    follower.close();
  }
}

/** The run before the one the status tells of: of a container that waits to run again, that is the last one. */
function previousRun(state: PodState, name: string, runs: ContainerRecord[]): ContainerRecord | undefined {
  const ended = runs.filter((record) => record.state === 'exited');
  const isLastWord = runs[0]?.state === 'exited' && statusOf(state, name)?.state?.waiting === undefined;
  return ended[isLastWord ? 1 : 0];
}

function noLog(state: PodState, { container, previous }: LogOptions): SampanError {
  const pod = state.object.metadata?.name;
  const spec = specOf(state.pod);
  const all = [...spec.containers, ...initContainers(state.pod), ...ephemeralContainers(state.pod)];
  if (!all.some((one) => one.name === container))
    return new SampanError('BadRequest', `container ${container} is not valid for pod ${pod}`);
  if (previous)
    return new SampanError('BadRequest', `previous terminated container "${container}" in pod "${pod}" not found`);
  const status = statusOf(state, container);
  const reason = status?.state?.waiting?.reason ?? 'ContainerCreating';
  const words: Record<string, string> = {
    ErrImagePull: "image can't be pulled",
    ImagePullBackOff: 'trying and failing to pull image',
  };
  if (words[reason])
    return new SampanError(
      'BadRequest',
      `container "${container}" in pod "${pod}" is waiting to start: ${words[reason]}`,
    );
  return new SampanError('BadRequest', `container "${container}" in pod "${pod}" is waiting to start: ${reason}`);
}

function statusOf({ pod }: PodState, name: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    (one) => one.name === name,
  );
}
