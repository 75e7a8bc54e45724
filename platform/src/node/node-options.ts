/** What a node is made of. */
import type { KubeClient } from '@sampan/api/client.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { ImageGarbageCollector } from '../images/images.ts';
import type * as cri from '../runtime/generated/cri.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { RequestToken } from '../volumes/sources.ts';
import type { NodeGateway } from './gateway.ts';
import type { MeasureDisk } from './stats/disk-pressure.ts';
import type { EvictionThreshold } from './stats/eviction-hard.ts';

export interface NodeCapacity {
  cpuMillicores: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
  pods: number;
}

export interface NodeInfo {
  kernelVersion: string;
  osImage: string;
  /** Of the platform: what `kubectl get nodes` shows as VERSION; Sampan's own version follows a `+sampan.`. */
  kubeletVersion: string;
  machineId: string;
  bootId: string;
  /** 'kvm', 'tcg' or 'none', and why: shown as the annotation sampan.dev/acceleration. */
  acceleration: string;
  /** What the runtime offers, as Node.status tells it. */
  runtimeHandlers?: cri.RuntimeHandler[];
  features?: cri.RuntimeFeatures | undefined;
}

/** Answers requests below nodes/<name>/proxy that are not the node's own; false when the path is none of its own either. */
export interface NodeEndpoints {
  handle(...request: Parameters<NonNullable<NodeGateway['proxy']>>): Promise<boolean>;
}

export interface NodeOptions {
  client: KubeClient;
  /** Recovered: recover() is its owner's to call, before the node starts. */
  runtime: Runtime;
  nodeName: string;
  /** Pods' volumes (pods/) and logs (pod-logs/) lie below it. */
  home: string;
  log: Logger;
  clock?: Clock;
  capacity: NodeCapacity;
  /** The node's own addresses; the first is the Pods' hostIP. */
  addresses: string[];
  /** The API server as Pods reach it. */
  apiServerForPods: { host: string; port: number };
  requestToken: RequestToken;
  nodeInfo: NodeInfo;
  /** Makes room on the disk of images; absent: nobody does. */
  imageGarbage?: ImageGarbageCollector;
  /** Default: what the file system says. */
  measureDisk?: MeasureDisk;
  /** When it is short of disk; default: readThresholds(). */
  evictionHard?: EvictionThreshold[];
  /** The image endpoints. */
  endpoints?: NodeEndpoints;
}

export interface Node {
  /** Registers the node, adopts the Pods it finds and begins to run what is bound to it. Throws when the API refuses the registration. */
  start(): Promise<void>;
  gateway: NodeGateway;
  /** Lets go; Pods go on. */
  close(): Promise<void>;
}
