/** What the steps of all Pods work with. */

import type { KubeClient } from '@sampan/api/client.ts';
import type { Service } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { PodVolumes } from '../../volumes/pod-volumes.ts';
import type { ObjectSource } from '../../volumes/sources.ts';
import type { ResolvConf } from '../config/dns.ts';
import type { LifecycleHooks } from '../hooks/lifecycle-hooks.ts';
import type { ImagePuller } from '../images/image-puller.ts';
import type { NodeCapacity } from '../node-options.ts';
import type { PodEvents } from '../pod-events.ts';
import type { DiskPressure } from '../stats/disk-pressure.ts';
import type { HostMeter } from '../stats/host-usage.ts';

export interface NodeContext {
  client: KubeClient;
  runtime: Runtime;
  clock: Clock;
  log: Logger;
  nodeName: string;
  home: string;
  hostIPs: string[];
  apiServer: { host: string; port: number };
  hostResolvConf: ResolvConf;
  capacity: NodeCapacity;
  startedAtMs: number;
  hostMeter: HostMeter;
  disk: DiskPressure;
  events: PodEvents;
  objects: ObjectSource;
  /** All Services of a namespace. */
  services(namespace: string): Promise<Service[]>;
  volumes: PodVolumes;
  images: ImagePuller;
  hooks: LifecycleHooks;
}
