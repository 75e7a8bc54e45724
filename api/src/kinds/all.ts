/** Every kind this API serves, in the order of discovery. */
import type { Kind } from '../kind.ts';
import { controllerRevisionKind } from './apps/controller-revision.ts';
import { deploymentKind } from './apps/deployment.ts';
import { replicaSetKind } from './apps/replica-set.ts';
import { statefulSetKind } from './apps/stateful-set.ts';
import { configMapKind } from './config-map.ts';
import { eventKind } from './event.ts';
import { leaseKind } from './lease.ts';
import { namespaceKind } from './namespace.ts';
import { nodeKind } from './node.ts';
import { podKind } from './pod/pod.ts';
import { priorityClassKind } from './priority-class.ts';
import { runtimeClassKind } from './runtime-class.ts';
import { secretKind } from './secret.ts';
import { serviceAccountKind } from './service-account.ts';

export const allKinds: Kind[] = [
  configMapKind,
  eventKind,
  namespaceKind,
  nodeKind,
  podKind,
  secretKind,
  serviceAccountKind,
  leaseKind,
  runtimeClassKind,
  priorityClassKind,
  controllerRevisionKind,
  deploymentKind,
  replicaSetKind,
  statefulSetKind,
];
