/**
 * Wires one instance together: the only place that knows which driver stands behind which seam.
 *
 * Order matters twice: the API serves before the node starts (the node is its client), and the runtime recovers what an earlier server
 * left before the node looks at it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { type ApiServer, createApiServer } from '../apiserver/api-server.ts';
import { openAuditLog } from '../apiserver/audit/audit-log.ts';
import type { AuditSink } from '../apiserver/audit/audit-trail.ts';
import { componentUser } from '../apiserver/auth/rbac/component-roles.ts';
import { masters } from '../apiserver/auth/user.ts';
import { readRequest } from '../apiserver/pki/certificates.ts';
import { writeAdminKubeconfig } from '../apiserver/pki/kubeconfig.ts';
import { openPki } from '../apiserver/pki/pki.ts';
import { sharedSecrets } from '../apiserver/pki/shared-secrets.ts';
import { createStreamingHook } from '../apiserver/streaming/streaming.ts';
import type { Instance } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import { createControllers } from '../controllers/controllers.ts';
import { electedControllers } from '../controllers/elected-controllers.ts';
import type { NodeGateway } from '../node/gateway.ts';
import { createNode } from '../node/node.ts';
import { createImageEndpoints } from '../node/server/image-endpoints.ts';
import { readThresholds } from '../node/stats/eviction-hard.ts';
import { connectAgent } from '../runtime/agent/agent-client.ts';
import { createRuntime } from '../runtime/create-runtime.ts';
import { closeVmms, type NetworkKind, networkKind, openDrivers } from './drivers.ts';
import { nodeCapacity, nodeInfo, nodeNameOf } from './node-capacity.ts';

import { publishRuntimeClasses } from './runtime-classes.ts';
import { version } from './version.ts';

export interface Platform {
  url: string;
  nodeName: string;
  network: NetworkKind;
  /** Stops the server's parts; Pods go on. */
  close(): Promise<void>;
}

export async function startPlatform(instance: Instance, log: Logger): Promise<Platform> {
  const drivers = await openDrivers(instance, log);
  const { network, images, vmms, store } = drivers;
  const nodeName = nodeNameOf();
  await network.start();
  const podsReachUsAt = network.hostAddress();

  let gateway: NodeGateway | undefined;
  const pki = await openPki({
    directory: join(instance.home, 'pki'),
    addresses: [instance.listen.host, podsReachUsAt].filter(isSpecific),
    names: [nodeName],
    ...(drivers.isStoreShared ? { shared: sharedSecrets(store) } : {}),
  });
  const api = await createApiServer({
    store,
    kinds: allKinds,
    log: log.child({ part: 'apiserver' }),
    gateway: () => gateway,
    localNode: nodeName,
    kubeletAuthority: await certificateOf(process.env.SAMPAN_KUBELET_CA),
    pki,
    version: { version },
    serviceNetwork: { others: [podsReachUsAt] },
    streaming: createStreamingHook({ log: log.child({ part: 'streaming' }) }),
    audit: await auditLogOf(process.env.SAMPAN_AUDIT_LOG, log),
  });
  const { port } = await api.listen([
    instance.listen,
    ...(isSpecific(instance.listen.host) ? [{ host: podsReachUsAt, port: instance.listen.port }] : []),
  ]);
  const url = `https://${isSpecific(instance.listen.host) ? bracketed(instance.listen.host) : '127.0.0.1'}:${port}`;
  await writeAdminKubeconfig({ pki, server: url, path: join(instance.home, 'admin.kubeconfig') });

  const runtime = createRuntime({
    vmms,
    images,
    network,
    connectAgent,
    run: instance.run,
    home: instance.home,
    log: log.child({ part: 'runtime' }),
  });
  await runtime.recover();
  const { runtimeHandlers = [], features } = await runtime.status({});
  await publishRuntimeClasses(
    api.inProcess({ name: 'system:apiserver', groups: [masters] }),
    runtimeHandlers.map(({ name = '' }) => name),
  );
  const node = await createNode({
    client: api.inProcess(componentUser(`system:node:${nodeName}`)),
    runtime,
    nodeName,
    home: instance.home,
    log: log.child({ part: 'node' }),
    capacity: await nodeCapacity(instance.home),
    addresses: [podsReachUsAt],
    // The bridge leads its port 443 to us; on the host's own address there is only the port we listen on.
    apiServerForPods: { host: podsReachUsAt, port: networkKind() === 'bridge' ? 443 : port },
    requestToken: tokenRequester(api.inProcess(componentUser(`system:node:${nodeName}`))),
    nodeInfo: { ...(await nodeInfo(await vmms.vm.capabilities())), runtimeHandlers, features },
    imageGarbage: images,
    evictionHard: readThresholds(process.env.SAMPAN_EVICTION_HARD || undefined),
    endpoints: await createImageEndpoints(images, join(instance.home, 'uploads')),
  });
  const makeControllers = (fence: (client: KubeClient) => KubeClient) =>
    createControllers({
      clientFor: (component) => fence(api.inProcess(componentUser(component))),
      log: log.child({ part: 'controllers' }),
      kinds: allKinds,
      namespaced: allKinds.filter((kind) => kind.ref.namespaced).map((kind) => kind.ref),
      caCertificate: pki.caCertificate,
      certificateAuthority: { read: readRequest, sign: pki.signClient },
      apiServer: { host: podsReachUsAt, port },
    });
  const controllers = drivers.isStoreShared
    ? electedControllers({
        client: api.inProcess(componentUser('system:kube-controller-manager')),
        log: log.child({ part: 'controllers' }),
        make: makeControllers,
      })
    : makeControllers((client) => client);
  await Promise.all([node.start(), controllers.start()]);
  gateway = node.gateway;
  return {
    url,
    nodeName,
    network: networkKind(),
    async close() {
      await controllers.close();
      await node.close();
      await closeAll(api, runtime, drivers);
    },
  };
}

async function closeAll(
  api: ApiServer,
  runtime: { close(): Promise<void> },
  drivers: Awaited<ReturnType<typeof openDrivers>>,
): Promise<void> {
  await api.close();
  await runtime.close();
  await Promise.all([closeVmms(drivers.vmms), drivers.network.close()]);
  await drivers.store.close();
}

interface TokenOptions {
  audience?: string;
  expirationSeconds: number;
  pod: { name: string; uid: string };
}

/** A projected token is a TokenRequest bound to the Pod (authentication.k8s.io/v1). */
function tokenRequester(client: KubeClient) {
  return async (namespace: string, serviceAccount: string, { audience, expirationSeconds, pod }: TokenOptions) => {
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience ? [audience] : [],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod },
      },
    };
    const answer = await client.create<typeof request & { status?: { token: string; expirationTimestamp: string } }>(
      resources.serviceaccounts,
      request,
      { namespace, name: serviceAccount, subresource: 'token' },
    );
    return answer.status!;
  };
}

/** `path` of the audit log; absent: there is none. */
function auditLogOf(path: string | undefined, log: Logger): Promise<AuditSink> | undefined {
  return path ? openAuditLog({ path, log: log.child({ part: 'audit' }) }) : undefined;
}

/** PEM of `path`: kubelets that are to be believed; absent: all are. */
const certificateOf = (path: string | undefined): Promise<string> | undefined =>
  path ? readFile(path, 'utf8') : undefined;

const isSpecific = (host: string): boolean => host !== '0.0.0.0' && host !== '::';
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
