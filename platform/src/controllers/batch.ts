/** The controllers of batch, autoscaling and policy: work that ends, workloads that grow and shrink, and what must stay while they do. */
import type { ControllerParts } from './controller-options.ts';
import { CronJobController } from './cron-job/cron-job-controller.ts';
import { DisruptionController } from './disruption/disruption-controller.ts';
import { AutoscalerController } from './horizontal-pod-autoscaler/autoscaler-controller.ts';
import { JobController } from './job/job-controller.ts';

export function createBatchControllers(
  partsFor: (name: string) => ControllerParts,
): { start(): Promise<void>; close(): Promise<void> }[] {
  return [
    new JobController(partsFor('job-controller')),
    new CronJobController(partsFor('cronjob-controller')),
    new DisruptionController(partsFor('disruption-controller')),
    new AutoscalerController(partsFor('horizontal-pod-autoscaler')),
  ];
}
