/** All controllers of an instance, as clients of its API. */
import type { KubeClient, ResourceRef } from '@sampan/api/client.ts';
import { messageOf } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { createBatchControllers } from './batch.ts';
import { type CertificateAuthority, CertificateController } from './certificates.ts';
import { ClusterRoleAggregation } from './cluster-role-aggregation.ts';
import { CustomKindsController } from './custom-kinds.ts';
import { EndpointSliceController } from './endpoint-slice/endpoint-slice-controller.ts';
import { KubernetesService } from './endpoint-slice/kubernetes-service.ts';
import { Expiry } from './expiry.ts';
import { GarbageCollector } from './garbage-collector/garbage-collector.ts';
import type { GarbageKind } from './garbage-collector/kind-graph.ts';
import { SharedInformers } from './informer/shared-informers.ts';
import { NamespaceDefaults } from './namespace-defaults.ts';
import { NamespaceController } from './namespaces.ts';
import { PendingClaims } from './pending-claims.ts';
import { ResourceQuotaController } from './resource-quota.ts';
import { Scheduler } from './scheduler.ts';
import { createWorkloadControllers } from './workloads.ts';

export interface ControllerOptions {
  /** A client for each controller's own user name. */
  clientFor: (component: string) => KubeClient;
  log: Logger;
  clock?: Clock;
  /** Every kind that lives in namespaces. */
  namespaced: ResourceRef[];
  /** Every kind that may own or be owned. */
  kinds: GarbageKind[];
  /** PEM of the CA that Pods verify the API server with. */
  caCertificate: string;
  /** Signs the API's own clients' certificate requests; absent: nobody does. */
  certificateAuthority?: CertificateAuthority;
  /** Where Pods reach the API server, and the port it listens at there. Absent: there is no Service `kubernetes`. */
  apiServer?: { host: string; port: number };
}

export interface Controllers {
  start(): Promise<void>;
  close(): Promise<void>;
}

export function createControllers(options: ControllerOptions): Controllers {
  const { clientFor, log, clock = systemClock, namespaced, kinds, caCertificate, apiServer } = options;
  const informers = new SharedInformers({
    client: clientFor('system:kube-controller-manager'),
    log: log.child({ controller: 'informers' }),
    clock,
  });
  const partsFor = (name: string) => ({
    client: clientFor(`system:serviceaccount:kube-system:${name}`),
    informers,
    log: log.child({ controller: name }),
    clock,
  });
  // A kind with a stored form is a view of another version's objects: one look at each is enough.
  const garbageKinds = kinds.filter((one) => one.kind !== 'Event' && !('stored' in one));
  const garbage = new GarbageCollector({ ...partsFor('generic-garbage-collector'), kinds: garbageKinds });
  const namespaces = new NamespaceController({
    client: clientFor('system:serviceaccount:kube-system:namespace-controller'),
    log: log.child({ controller: 'namespace' }),
    clock,
    namespaced,
  });
  const quotas = new ResourceQuotaController({ ...partsFor('resourcequota-controller'), namespaced });
  const customLog = log.child({ controller: 'custom-kinds' });
  const all = [
    new CustomKindsController({
      informers,
      log: customLog,
      clock,
      onKinds(custom) {
        const inNamespaces = custom.map(({ ref }) => ref).filter((ref) => ref.namespaced);
        namespaces.setCustom(inNamespaces);
        quotas.setCustom(inNamespaces);
        garbage
          .setKinds([...garbageKinds, ...custom])
          .catch((error) => customLog.warn({ error: messageOf(error) }, 'garbage of custom kinds is not seen yet'));
      },
    }),
    ...createWorkloadControllers(partsFor),
    garbage,
    ...createBatchControllers(partsFor),
    new Scheduler({ client: clientFor('system:kube-scheduler'), log: log.child({ controller: 'scheduler' }), clock }),
    namespaces,
    new NamespaceDefaults({
      client: clientFor('system:serviceaccount:kube-system:service-account-controller'),
      log: log.child({ controller: 'namespace-defaults' }),
      clock,
      caCertificate,
    }),
    new Expiry({
      client: clientFor('system:serviceaccount:kube-system:generic-garbage-collector'),
      log: log.child({ controller: 'expiry' }),
      clock,
    }),
    new ClusterRoleAggregation({
      client: clientFor('system:serviceaccount:kube-system:clusterrole-aggregation-controller'),
      log: log.child({ controller: 'clusterrole-aggregation' }),
      clock,
    }),
    ...(options.certificateAuthority
      ? [new CertificateController({ ...partsFor('certificate-controller'), authority: options.certificateAuthority })]
      : []),
    quotas,
    new EndpointSliceController(partsFor('endpointslice-controller')),
    new PendingClaims(partsFor('persistent-volume-binder')),
    ...(apiServer ? [new KubernetesService({ ...partsFor('kubernetes-service-controller'), apiServer })] : []),
  ];
  return {
    async start() {
      await Promise.all(all.map((controller) => controller.start()));
    },
    async close() {
      await Promise.all(all.map((controller) => controller.close()));
      await informers.close();
    },
  };
}
