/**
 * The API server: a store, the kinds, and the ways in. It owns putting the machinery together and the server's own background work
 * (store compaction, bookmarks, certificate renewal); each part stands in its own folder.
 *
 *   front door (HTTPS) ─┐                              ┌─ admission
 *                       ├─▶ authorizer ─▶ verbs ──────▶├─ kind (defaults, validation)
 *   in-process client ──┘                 │  ▲         └─ store.commit
 *                                         ▼  │
 *                                    watch cache ◀── store.watch
 */
import type { KubeClient } from '@sampan/api/client.ts';
import { messageOf } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { rbacGroup } from '@sampan/api/kinds/rbac/resources.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { QuietCollector } from '../base/quiet-collector.ts';
import type { NodeGateway } from '../node/gateway.ts';
import type { Store } from '../store/store.ts';
import { accessReviews } from './actions/access-reviews.ts';
import { authenticationReviews } from './actions/authentication-reviews.ts';
import { bindings } from './actions/binding.ts';
import { eviction } from './actions/eviction.ts';
import { tokenRequest } from './actions/token-request.ts';
import { AdmissionChain, type AdmissionPlugin } from './admission/admission.ts';
import { builtInAdmission } from './admission/built-in.ts';
import { certificateAdmission } from './admission/certificates.ts';
import { resourceQuotaAdmission } from './admission/resource-quota.ts';
import type { ServiceNetwork } from './admission/service-addresses.ts';
import { type AuditSink, AuditTrail } from './audit/audit-trail.ts';
import { Authenticator, adminTokenVerifier } from './auth/authenticator.ts';
import { type Authorizer, AuthorizerChain, discoveryAuthorizer, mastersAuthorizer } from './auth/authorizer.ts';
import { nodeAuthorizer } from './auth/node/node-authorizer.ts';
import { ensureBootstrapPolicy } from './auth/rbac/bootstrap-policy.ts';
import { escalationCheck } from './auth/rbac/escalation.ts';
import { RbacAuthorizer } from './auth/rbac/rbac-authorizer.ts';
import { serviceAccountTokens } from './auth/service-account-tokens.ts';
import type { UserInfo } from './auth/user.ts';
import { ensureSystemNamespaces } from './bootstrap.ts';
import { WatchCache } from './cache/watch-cache.ts';
import { CustomKinds } from './custom/custom-kinds.ts';
import { definitionLifecycle } from './custom/definition-lifecycle.ts';
import { Discovery } from './http/discovery.ts';
import { FrontDoor } from './http/front-door.ts';
import { createPaths } from './http/paths.ts';
import { InProcessClient } from './in-process.ts';
import { nodeGateways } from './kubelet/node-gateways.ts';
import { KindTable } from './meta/kinds.ts';
import { metricsKinds } from './metrics/metrics.ts';
import { NodeUsages } from './metrics/node-usages.ts';
import type { Pki } from './pki/pki.ts';
import type { StreamingHook } from './streaming-hook.ts';
import { readerOf } from './verbs/context.ts';
import { type VersionInfo, versionDocument } from './version.ts';

export interface ApiServerOptions {
  store: Store;
  kinds: Kind[];
  log: Logger;
  clock?: Clock;
  /** Asked at every call: the node may come and go. */
  gateway: () => NodeGateway | undefined;
  /** The node that `gateway` is of: Pods of others are asked of their kubelets. Absent: it answers for all. */
  localNode?: string;
  /** PEM: kubelets whose certificates others have signed are not believed. Absent: all are. */
  kubeletAuthority?: string;
  pki: Pki;
  version: VersionInfo;
  /** After the built-in ones, in order; the quota is asked after them. */
  admission?: AdmissionPlugin[];
  /** After masters, nodes, discovery and RBAC. */
  authorizers?: Authorizer[];
  serviceNetwork?: ServiceNetwork;
  /** log, exec, attach, port-forward; absent: answered 503. */
  streaming?: StreamingHook;
  /** Where requests over HTTP are written down; absent: nowhere. Closed with the server. */
  audit?: AuditSink;
  /** Watches over HTTP at a time (default 10,000). */
  maxWatches?: number;
}

export interface ApiServer {
  /** The API as `user`, without HTTP. Cheap: make one a part. */
  inProcess(user: UserInfo): KubeClient;
  /** May be called once; throws FailedPrecondition when an address is taken. */
  listen(addresses: { host: string; port: number }[]): Promise<{ port: number }>;
  /** Ends watches and connections. The store stays open: it is the caller's. */
  close(): Promise<void>;
}

const compactEveryMs = 5 * 60_000;
const bookmarkEveryMs = 60_000;
const restEveryMs = 1_000;
const collectEveryMs = 2_000;
const renewEveryMs = 12 * 3_600_000;

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { store, log, pki, clock = systemClock } = options;
  const kinds = new KindTable(options.kinds);
  const cache = await WatchCache.start({ store, kinds: options.kinds, clock, log });
  const rbac = new RbacAuthorizer(cache);
  const authorizer = new AuthorizerChain([
    mastersAuthorizer,
    nodeAuthorizer(cache),
    discoveryAuthorizer,
    ...(kinds.find(rbacGroup, 'v1', 'clusterroles') ? [rbac] : []),
    ...(options.authorizers ?? []),
  ]);
  const admission = new AdmissionChain([
    definitionLifecycle,
    ...builtInAdmission(options.serviceNetwork),
    escalationCheck({ rbac, authorizer }),
    certificateAdmission({ authorizer, clock }),
    ...(options.admission ?? []),
    resourceQuotaAdmission(),
  ]);
  const context = { store, cache, kinds, admission, clock, log };
  const tokens = serviceAccountTokens({ key: pki.serviceAccountKey, clock, reader: readerOf(context) });
  const authenticator = new Authenticator({ tokens: [adminTokenVerifier(pki.adminToken), tokens], clock });
  const actions = [
    ...bindings,
    eviction,
    tokenRequest(tokens),
    ...accessReviews(authorizer),
    ...authenticationReviews(authenticator),
  ];
  const { localNode, kubeletAuthority, streaming, maxWatches } = options;
  const authority = kubeletAuthority ? { kubeletAuthority } : {};
  const gateway = nodeGateways({ local: options.gateway, localNode, ...authority, context, pki, clock, log });
  const virtualKinds = metricsKinds(new NodeUsages({ local: options.gateway, localNode, gatewayOf: gateway, clock }));
  const discovery = new Discovery(kinds, actions, virtualKinds);
  const parts = { context, authorizer, actions, virtualKinds };
  const version = versionDocument(options.version);
  const paths = createPaths({ context, discovery, version, actions, keySet: tokens.keySet });
  const audit = options.audit && new AuditTrail({ sink: options.audit, clock });
  const door = new FrontDoor({ ...parts, gateway, streaming, pki, log, authenticator, paths, audit, maxWatches });

  const stop = new AbortController();
  const every = (ms: number, work: () => void | Promise<void>) =>
    void repeat({ clock, log, ms, signal: stop.signal, work });
  every(bookmarkEveryMs, () => cache.bookmark());
  every(restEveryMs, () => cache.rest());
  const collector = new QuietCollector(collectEveryMs, { forget: () => cache.forget() });
  every(collectEveryMs, () => collector.look());
  every(renewEveryMs, () => door.renewCertificate());
  let compactTo = cache.revision;
  every(compactEveryMs, async () => {
    // What was current five minutes ago: pages of a list begun since then stay readable.
    await store.compact(compactTo);
    compactTo = cache.revision;
  });
  await ensureSystemNamespaces(context);
  const customKinds = new CustomKinds(context);
  await customKinds.start();
  await ensureBootstrapPolicy(context);

  return {
    inProcess: (user) => new InProcessClient(parts, user),
    listen: (addresses) => door.listen(addresses),
    async close() {
      stop.abort();
      await door.close();
      await options.audit?.close();
      await customKinds.close();
      await cache.close();
    },
  };
}

interface Repeat {
  clock: Clock;
  log: Logger;
  ms: number;
  signal: AbortSignal;
  work(): void | Promise<void>;
}

async function repeat({ clock, log, ms, signal, work }: Repeat): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(ms, signal);
    } catch {
      return;
    }
    try {
      await work();
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'background work of the API server failed, it will be tried again');
    }
  }
}
