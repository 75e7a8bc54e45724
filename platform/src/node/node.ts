/**
 * The kubelet's role: runs the Pods that are bound to one node of a Kubernetes API on one CRI runtime.
 * Owns: the node's Pods from binding to removal, their volumes, probes, logs on disk, the Node object and its lease.
 * Does not own: machines and images (runtime), which Pod goes where (scheduler), the API (a client of it like any other).
 * Wires its parts together and decides nothing itself.
 */
import { readFile } from 'node:fs/promises';
import { resources } from '@sampan/api/client.ts';
import { messageOf } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { systemClock } from '../base/clock.ts';
import { createEventRecorder } from '../base/event-recorder.ts';
import { ensureDirectory } from '../base/files.ts';
import { Informer } from '../base/informer.ts';
import { PodVolumes } from '../volumes/pod-volumes.ts';
import type { NodeContext } from './act/context.ts';
import { parseResolvConf } from './config/dns.ts';
import { createGateway } from './create-gateway.ts';
import { graceSecondsOf } from './decide/model.ts';
import { LifecycleHooks } from './hooks/lifecycle-hooks.ts';
import { keepRoomForImages } from './images/image-keeper.ts';
import { ImagePuller } from './images/image-puller.ts';
import { keepLogsSmall } from './logs/log-rotation.ts';
import type { Node, NodeOptions } from './node-options.ts';
import { ReferencedObjects } from './objects/referenced-objects.ts';
import { Observer } from './observe.ts';
import { findOrphans, removeOrphanedFiles } from './orphans.ts';
import { createPodEvents } from './pod-events.ts';
import { PodState } from './pod-state.ts';
import { PodWorkers } from './pod-workers.ts';
import { ProbeManager } from './probes/probe-manager.ts';
import { NodeRegistration } from './registration/node-registration.ts';
import { DiskPressure } from './stats/disk-pressure.ts';
import { evictExcess } from './stats/evictor.ts';
import { HostMeter } from './stats/host-usage.ts';
import { StatusWriter } from './status-writer.ts';

/** Everything is looked at again at least this often, should an event of the runtime ever be missed. */
const relistMs = 20_000;
const eventsRetryMs = 1000;

export async function createNode(options: NodeOptions): Promise<Node> {
  const clock = options.clock ?? systemClock;
  const { client, runtime, nodeName, home, log } = options;
  const recorder = createEventRecorder({ client, component: 'kubelet', host: nodeName, clock, log });
  const events = createPodEvents(recorder);
  const references = new ReferencedObjects({ client, clock, log, onChange: (uid) => workers.refresh(uid) });
  const context: NodeContext = {
    client,
    runtime,
    clock,
    log,
    nodeName,
    home,
    hostIPs: options.addresses,
    apiServer: options.apiServerForPods,
    hostResolvConf: parseResolvConf(await readFile('/etc/resolv.conf', 'utf8').catch(() => '')),
    capacity: options.capacity,
    startedAtMs: clock.now(),
    hostMeter: new HostMeter({ clock, home }),
    disk: new DiskPressure({
      home,
      imagePath: async () => (await runtime.imageFsInfo({})).imageFilesystems?.[0]?.fsId?.mountpoint,
      clock,
      thresholds: options.evictionHard,
      measure: options.measureDisk,
    }),
    events,
    objects: references,
    services: (namespace) => references.services(namespace),
    volumes: new PodVolumes({ objects: references, requestToken: options.requestToken, clock }),
    images: new ImagePuller({ runtime, objects: references, events, clock }),
    hooks: new LifecycleHooks({ runtime, clock, events }),
  };
  const probes = new ProbeManager({ runtime, clock, events, onChange: (uid) => workers.wake(uid) });
  const statuses = new StatusWriter({ client, clock, log });
  const observer = new Observer(runtime, home, options.addresses);
  const workers: PodWorkers = new PodWorkers({
    context,
    observer,
    references,
    probes,
    statuses,
    onFinished: (state) => log.info({ pod: nameOf(state.object), uid: state.uid }, 'pod is gone'),
  });
  const pods = new Informer<Pod>({
    client,
    ref: resources.pods,
    select: { fieldSelector: `spec.nodeName=${nodeName}` },
    log,
    clock,
    onChange: (change) => onPodChange(workers, clock.now(), change),
  });
  const { capacity, addresses, nodeInfo, imageGarbage: images } = options;
  const facts = { nodeName, capacity, addresses, nodeInfo };
  const registration = new NodeRegistration({
    client,
    runtime,
    facts,
    disk: context.disk,
    clock,
    log,
    events: recorder,
  });
  const stop = new AbortController();

  return {
    gateway: createGateway({ context, workers, observer, endpoints: options.endpoints }),
    async start() {
      await ensureDirectory(home);
      await registration.start();
      await pods.start();
      await adopt(context, workers);
      void followRuntime(context, workers, stop.signal);
      void relist(context, workers, stop.signal);
      void keepLogsSmall(context, stop.signal);
      void evictExcess(context, workers, stop.signal);
      if (images)
        void keepRoomForImages({ images, nodeName, disk: context.disk, events: recorder, clock, log }, stop.signal);
    },
    async close() {
      stop.abort();
      await Promise.all([pods.close(), registration.close()]);
      await workers.close();
      probes.close();
      await Promise.all([references.close(), statuses.close(), recorder.flush()]);
    },
  };
}

function onPodChange(
  workers: PodWorkers,
  nowMs: number,
  { type, object, previous }: { type: 'set' | 'removed'; object: Pod; previous?: Pod },
): void {
  // Another Pod of the same name: the one before was removed, and we did not see it.
  if (previous && previous.metadata?.uid !== object.metadata?.uid) onPodGone(workers, nowMs, previous);
  if (type === 'removed') {
    onPodGone(workers, nowMs, object);
    return;
  }
  const uid = object.metadata?.uid ?? '';
  const state = workers.get(uid);
  if (!state) {
    workers.add(new PodState(object));
    return;
  }
  const before = state.object;
  state.object = object;
  if (shown(before) !== shown(object)) workers.refresh(uid);
  workers.wake(uid);
}

function onPodGone(workers: PodWorkers, nowMs: number, pod: Pod): void {
  const uid = pod.metadata?.uid ?? '';
  const state = workers.get(uid);
  if (!state || state.gone) return;
  if (state.finished) {
    workers.drop(uid);
    return;
  }
  const graceSeconds = pod.metadata?.deletionGracePeriodSeconds ?? graceSecondsOf(pod);
  state.gone = { atMs: nowMs, graceSeconds };
  workers.wake(uid);
}

/** What a downwardAPI volume shows and may change. */
const shown = (pod: Pod): string => JSON.stringify([pod.metadata?.labels, pod.metadata?.annotations]);

const nameOf = (pod: Pod): string => `${pod.metadata?.namespace}/${pod.metadata?.name}`;

/** Takes on what a server before us left: Pods without an object are brought to an end, files of Pods nobody knows are removed. */
async function adopt(context: NodeContext, workers: PodWorkers): Promise<void> {
  const { runtime, clock, log, home } = context;
  const known = (uid: string) => workers.get(uid) !== undefined;
  for (const { pod, graceSeconds } of await findOrphans(runtime, known)) {
    log.warn({ pod: nameOf(pod), uid: pod.metadata?.uid }, 'pod has no object any more: it is brought to an end');
    const state = new PodState(pod);
    state.gone = { atMs: clock.now(), graceSeconds };
    workers.add(state);
  }
  const removed = await removeOrphanedFiles(home, known);
  if (removed.length > 0) log.warn({ removed }, 'files of pods that are gone were removed');
}

async function followRuntime(
  { runtime, clock, log }: NodeContext,
  workers: PodWorkers,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of runtime.getContainerEvents({})) {
        if (signal.aborted) return;
        workers.wake(event.podSandboxStatus?.metadata?.uid ?? '');
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'events of the runtime broke off, will be followed again');
    }
    await clock.sleep(eventsRetryMs, signal).catch(() => {});
    for (const state of workers.all()) workers.wake(state.uid);
  }
}

async function relist({ clock }: NodeContext, workers: PodWorkers, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(relistMs, signal).catch(() => {});
    if (signal.aborted) return;
    for (const state of workers.all())
      if (!state.cleanedUp || state.object.metadata?.deletionTimestamp) workers.wake(state.uid);
  }
}
