/** The controllers of apps/v1, and what they share: one informer a kind. */

import type { ControllerParts } from './controller-options.ts';
import { DeploymentController } from './deployment/deployment-controller.ts';
import { ReplicaSetController } from './replica-set/replica-set-controller.ts';
import { StatefulSetController } from './stateful-set/stateful-set-controller.ts';

export function createWorkloadControllers(
  partsFor: (name: string) => ControllerParts,
): { start(): Promise<void>; close(): Promise<void> }[] {
  return [
    new ReplicaSetController(partsFor('replicaset-controller')),
    new DeploymentController(partsFor('deployment-controller')),
    new StatefulSetController(partsFor('statefulset-controller')),
  ];
}
