/** What a node is made of. */
import type { KubeClient } from '@sampan/api/client.ts';
import type { NodeAddress } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { ImageStore } from '../images/images.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { VmmCapabilities } from '../vmm/vmm.ts';
import type { RequestToken } from '../volumes/sources.ts';
import type { NodeGateway } from './gateway.ts';

export interface NodeCapacity {
  cpuMillicores: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
  pods: number;
}

export interface NodeOptions {
  client: KubeClient;
  /** Recovered: recover() is its owner's to call, before the node starts. */
  runtime: Runtime;
  /** Behind the node's image endpoints (nodes/<name>/proxy/images); absent: there are none. */
  images?: ImageStore;
  nodeName: string;
  /** Pods' volumes (pods/) and logs (pod-logs/) lie below it. */
  home: string;
  log: Logger;
  clock?: Clock;
  capacity: NodeCapacity;
  /** The first InternalIP is the Pods' hostIP. */
  addresses: NodeAddress[];
  /** The API server as Pods reach it. */
  apiServerForPods: { host: string; port: number };
  requestToken: RequestToken;
  /** What the machines run on, and why: told on the Node object. */
  vmm: VmmCapabilities;
  /** Sampan's own. */
  version: string;
}

export interface Node {
  /** Registers the node, adopts the Pods it finds and begins to run what is bound to it. Throws when the API refuses the registration. */
  start(): Promise<void>;
  gateway: NodeGateway;
  /** Lets go; Pods go on. */
  close(): Promise<void>;
}
