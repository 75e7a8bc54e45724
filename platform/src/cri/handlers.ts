/**
 * What the socket serves: for each method of CRI, the runtime's own call, or the call of this room that stands in front of it.
 *
 * A method that is not in these tables is not served, and says so by name (`unserved`).
 */
import type * as cri from '../runtime/generated/cri.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { inBatches } from './batches.ts';
import { listMetricDescriptors, listPodSandboxMetrics } from './metrics.ts';
import type { StreamingUrls } from './streaming/streaming-urls.ts';
import { checkGroup, withContainerNamespaces, withPodNamespaces } from './what-is-meant.ts';

/** CRI's calls by their name in the proto with a small first letter: one answer, or a stream of them. */
export type Unary<Service> = {
  [Name in keyof Service]?: Service[Name] extends (request: infer Request) => Promise<infer Answer>
    ? (request: Request) => Promise<Answer>
    : never;
};
export type Streaming<Service> = {
  [Name in keyof Service]?: Service[Name] extends (request: infer Request) => AsyncIterable<infer Answer>
    ? (request: Request) => AsyncIterable<Answer>
    : never;
};

export function runtimeCalls(runtime: Runtime, urls: StreamingUrls): Unary<cri.RuntimeService> {
  return {
    version: (request) => runtime.version(request),
    status: (request) => runtime.status(request),
    runtimeConfig: (request) => runtime.runtimeConfig(request),
    // kubelet tells the Pods' CIDR of its Node: our network has leases of its own, so there is nothing to change.
    updateRuntimeConfig: async () => ({}),
    runPodSandbox: (request) => runtime.runPodSandbox(withPodNamespaces(request)),
    stopPodSandbox: (request) => runtime.stopPodSandbox(request),
    removePodSandbox: (request) => runtime.removePodSandbox(request),
    podSandboxStatus: (request) => runtime.podSandboxStatus(request),
    listPodSandbox: (request) => runtime.listPodSandbox(request),
    async createContainer(request) {
      checkGroup(request);
      return runtime.createContainer(withContainerNamespaces(request));
    },
    startContainer: (request) => runtime.startContainer(request),
    stopContainer: (request) => runtime.stopContainer(request),
    removeContainer: (request) => runtime.removeContainer(request),
    listContainers: (request) => runtime.listContainers(request),
    containerStatus: (request) => runtime.containerStatus(request),
    updateContainerResources: (request) => runtime.updateContainerResources(request),
    reopenContainerLog: (request) => runtime.reopenContainerLog(request),
    execSync: (request) => runtime.execSync(request),
    exec: (request) => urls.exec(request),
    attach: (request) => urls.attach(request),
    portForward: (request) => urls.portForward(request),
    containerStats: (request) => runtime.containerStats(request),
    listContainerStats: (request) => runtime.listContainerStats(request),
    podSandboxStats: (request) => runtime.podSandboxStats(request),
    listPodSandboxStats: (request) => runtime.listPodSandboxStats(request),
    listMetricDescriptors: async () => listMetricDescriptors(),
    listPodSandboxMetrics: () => listPodSandboxMetrics(runtime),
  };
}

export function runtimeStreams(runtime: Runtime): Streaming<cri.RuntimeService> {
  return {
    getContainerEvents: (request) => runtime.getContainerEvents(request),
    streamPodSandboxes: ({ filter }) =>
      inBatches(
        () => runtime.listPodSandbox({ filter }),
        ({ items }) => items,
        (podSandboxes) => ({ podSandboxes }),
      ),
    streamContainers: ({ filter }) =>
      inBatches(
        () => runtime.listContainers({ filter }),
        ({ containers }) => containers,
        (containers) => ({ containers }),
      ),
    streamContainerStats: ({ filter }) =>
      inBatches(
        () => runtime.listContainerStats({ filter }),
        ({ stats }) => stats,
        (containerStats) => ({ containerStats }),
      ),
    streamPodSandboxStats: ({ filter }) =>
      inBatches(
        () => runtime.listPodSandboxStats({ filter }),
        ({ stats }) => stats,
        (podSandboxStats) => ({ podSandboxStats }),
      ),
    streamPodSandboxMetrics: () =>
      inBatches(
        () => listPodSandboxMetrics(runtime),
        ({ podMetrics }) => podMetrics,
        (podSandboxMetrics) => ({ podSandboxMetrics }),
      ),
  };
}

export function imageCalls(runtime: Runtime): Unary<cri.ImageService> {
  return {
    listImages: (request) => runtime.listImages(request),
    imageStatus: (request) => runtime.imageStatus(request),
    pullImage: (request) => runtime.pullImage(request),
    removeImage: (request) => runtime.removeImage(request),
    imageFsInfo: (request) => runtime.imageFsInfo(request),
  };
}

export function imageStreams(runtime: Runtime): Streaming<cri.ImageService> {
  return {
    streamImages: ({ filter }) =>
      inBatches(
        () => runtime.listImages({ filter }),
        ({ images }) => images,
        (images) => ({ images }),
      ),
  };
}

/** Why a method of the proto is not served; for those that are not named here the name alone has to do. */
export const unserved: Record<string, string> = {
  checkpointContainer: 'containers are not checkpointed',
  checkpointPod: 'Pods are not checkpointed',
  restorePod: 'Pods are not restored from checkpoints',
  updatePodSandboxResources: "a Pod's machine does not change its size while it runs; make the Pod anew",
};
