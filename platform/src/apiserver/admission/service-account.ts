/**
 * Every Pod runs as a service account and, unless it declines, finds that account's token mounted (plugin ServiceAccount).
 * The account itself, and the kube-root-ca.crt ConfigMap the mount refers to, are made by controllers.
 */
import { resources } from '@sampan/api/client.ts';
import type { Container, PodSpec, ServiceAccount, Volume } from 'kubernetes-types/core/v1.d.ts';
import { nameSuffix } from '../../base/ids.ts';
import { forbidden } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { createdPodSpec } from './pods.ts';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
/** Seven seconds over an hour: the kubelet renews after 80 percent, so that old clients see the token they read change in time. */
const tokenSeconds = 3607;
/** A namespace's default account comes moments after the namespace. */
const defaultAccountAttempts = 20;
const retryMs = 100;

export const serviceAccountAdmission: AdmissionPlugin = {
  name: 'ServiceAccount',
  async mutate(request) {
    const spec = createdPodSpec(request);
    if (!spec || isMirror(request)) return;
    spec.serviceAccountName ||= 'default';
    const account = await accountOf(request, spec.serviceAccountName);
    const wanted = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
    if (wanted) mountToken(spec);
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length) {
      spec.imagePullSecrets = account.imagePullSecrets.map((secret) => ({ ...secret }));
    }
  },
};

function isMirror({ object }: AdmissionRequest): boolean {
  return object?.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined;
}

async function accountOf(request: AdmissionRequest, name: string): Promise<ServiceAccount> {
  const { reader, namespace, kind } = request;
  const attempts = name === 'default' ? defaultAccountAttempts : 1;
  for (let attempt = 1; ; attempt++) {
    const account = reader.get(resources.serviceaccounts, name, namespace);
    if (account) return account as unknown as ServiceAccount;
    if (attempt === attempts) break;
    await reader.sleep(retryMs);
    await reader.refresh();
  }
  const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`;
  throw forbidden(kind.ref, request.name, why);
}

function mountToken(spec: PodSpec): void {
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(volumePrefix))?.name;
  const name = existing ?? `${volumePrefix}${nameSuffix()}`;
  let mounted = false;
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    mounted = mountInto(container, name) || mounted;
  }
  if (mounted && !existing) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

/** False when the container has something of its own at that path. */
function mountInto(container: Container, name: string): boolean {
  if (container.volumeMounts?.some((mount) => mount.mountPath === mountPath)) return false;
  container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
  return true;
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}
