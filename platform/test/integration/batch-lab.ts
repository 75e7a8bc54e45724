/**
 * An API server with the controllers of batch, autoscaling and policy (and those of the workloads they work on), a fake node that ends Pods as the test
 * says, and kubectl to look at it all with.
 */
import assert from 'node:assert/strict';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import type { Job } from 'kubernetes-types/batch/v1.js';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { componentUser } from '../../src/apiserver/auth/rbac/component-roles.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { CronJobController } from '../../src/controllers/cron-job/cron-job-controller.ts';
import { DeploymentController } from '../../src/controllers/deployment/deployment-controller.ts';
import { DisruptionController } from '../../src/controllers/disruption/disruption-controller.ts';
import { GarbageCollector } from '../../src/controllers/garbage-collector/garbage-collector.ts';
import { AutoscalerController } from '../../src/controllers/horizontal-pod-autoscaler/autoscaler-controller.ts';
import { SharedInformers } from '../../src/controllers/informer/shared-informers.ts';
import { JobController } from '../../src/controllers/job/job-controller.ts';
import { ReplicaSetController } from '../../src/controllers/replica-set/replica-set-controller.ts';
import { type FakeKubelet, type Fate, startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { createMeasuredNode } from '../fixtures/measured-node.ts';
import { startTestApi, type TestApi } from './api-test-server.ts';
import { findKubectls, type KubectlResult, runKubectl } from './kubectl-server.ts';

const kubectl = findKubectls().at(-1);
/** For describe(): skipped, with the reason, where there is no kubectl. */
export const needsKubectl = kubectl
  ? {}
  : { skip: 'no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...' };
export const image = 'registry.example/app:1';

export interface BatchLab extends AsyncDisposable {
  api: TestApi;
  node: FakeKubelet;
  /** What the node says of how busy Pods are. */
  measured: ReturnType<typeof createMeasuredNode>;
  kubeconfig: string;
  /** What becomes of Pods, by the name of their Job or their label `app`; others succeed. */
  fates: Map<string, Fate>;
  run(args: string[], input?: string): Promise<KubectlResult>;
  /** What it printed; fails when it failed. */
  ok(args: string[], input?: string): Promise<string>;
  jobOf(name: string): Promise<Job & KubeObject>;
  /** Of a label selector. */
  podsOf(labelSelector: string): Promise<(Pod & KubeObject)[]>;
}

export async function startBatchLab(): Promise<BatchLab> {
  const measured = createMeasuredNode();
  const api = await startTestApi({ more: { gateway: () => measured.gateway } });
  const { client } = api;
  const { kubeconfig } = await api.listen();
  // Each as itself, with no more rights than its role gives it.
  const as = (component: string) => api.server.inProcess(componentUser(component));
  const shared = { log: silentLogger, clock: systemClock };
  const informers = new SharedInformers({ ...shared, client: as('system:kube-controller-manager') });
  const parts = (name: string) => ({ ...shared, informers, client: as(`system:serviceaccount:kube-system:${name}`) });
  const kinds = allKinds.filter(({ kind }) => kind !== 'Event');
  const controllers = [
    new JobController({ ...parts('job-controller'), backoff: { firstMs: 20, maxMs: 100 } }),
    new CronJobController(parts('cronjob-controller')),
    new DisruptionController(parts('disruption-controller')),
    new ReplicaSetController(parts('replicaset-controller')),
    new DeploymentController(parts('deployment-controller')),
    new AutoscalerController({ ...parts('horizontal-pod-autoscaler'), periodMs: 200 }),
    new GarbageCollector({ ...parts('generic-garbage-collector'), kinds }),
  ];
  await Promise.all(controllers.map((one) => one.start()));
  const fates = new Map<string, Fate>();
  const fate = ({ metadata }: Pod) => fates.get(ownerOf(metadata)) ?? 'succeeded';
  const node = await startFakeKubelet({ client, bindsAll: true, fate });
  const run = (args: string[], input?: string) =>
    runKubectl(kubectl!, args, { kubeconfig, home: api.directory, ...(input ? { input } : {}) });
  return {
    api,
    node,
    measured,
    kubeconfig,
    fates,
    run,
    async ok(args, input) {
      const { code, stdout, stderr } = await run(args, input);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
    jobOf: (name) => client.get<Job & KubeObject>(resources.jobs, name, 'default'),
    async podsOf(labelSelector) {
      return (await client.list<Pod & KubeObject>(resources.pods, { namespace: 'default', labelSelector })).items;
    },
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await Promise.all(controllers.map((one) => one.close()));
      await informers.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

export const ownerOf = (metadata: Pod['metadata']) => metadata?.labels?.['job-name'] ?? metadata?.labels?.app ?? '';
