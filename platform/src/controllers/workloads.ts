/** The controllers of apps/v1, and the one that takes Pods from lost nodes so that they come up elsewhere. */

import type { ControllerParts } from './controller-options.ts';
import { DeploymentController } from './deployment/deployment-controller.ts';
import { NodeLifecycleController } from './node-lifecycle/node-lifecycle-controller.ts';
import { ReplicaSetController } from './replica-set/replica-set-controller.ts';
import { StatefulSetController } from './stateful-set/stateful-set-controller.ts';

export function createWorkloadControllers(
  partsFor: (name: string) => ControllerParts,
): { start(): Promise<void>; close(): Promise<void> }[] {
  return [
    new ReplicaSetController(partsFor('replicaset-controller')),
    new DeploymentController(partsFor('deployment-controller')),
    new StatefulSetController(partsFor('statefulset-controller')),
    new NodeLifecycleController(partsFor('node-controller')),
  ];
}
