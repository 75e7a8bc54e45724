/** Files of a projected volume: several sources in one directory, later ones over earlier ones. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Pod, ProjectedVolumeSource, VolumeProjection } from 'kubernetes-types/core/v1.js';
import type { ServiceAccountTokens } from '../service-account-tokens.ts';
import type { ObjectSource, PodFacts } from '../sources.ts';
import { renderConfigMap } from './config-map.ts';
import { renderDownwardApi } from './downward-api.ts';
import { checkedPath, type Payload } from './payload.ts';
import { renderSecret } from './secret.ts';

export interface ProjectedContext {
  facts: PodFacts;
  objects: ObjectSource;
  tokens: ServiceAccountTokens;
}

const defaultTokenSeconds = 3600;
export const defaultMode = 0o644;

/** `refreshAtMs`: when a token in it is to be renewed. */
export async function renderProjected(
  context: ProjectedContext,
  volume: ProjectedVolumeSource,
): Promise<{ payload: Payload; refreshAtMs?: number }> {
  const mode = volume.defaultMode ?? defaultMode;
  const payload: Payload = new Map();
  let refreshAtMs: number | undefined;
  for (const source of volume.sources ?? []) {
    const part = await renderSource(context, source, mode);
    for (const [path, file] of part.payload) payload.set(path, file);
    if (part.refreshAtMs !== undefined) refreshAtMs = Math.min(refreshAtMs ?? part.refreshAtMs, part.refreshAtMs);
  }
  return { payload, ...(refreshAtMs !== undefined ? { refreshAtMs } : {}) };
}

async function renderSource(
  context: ProjectedContext,
  source: VolumeProjection,
  mode: number,
): Promise<{ payload: Payload; refreshAtMs?: number }> {
  const { facts, objects } = context;
  const namespace = facts.pod.metadata?.namespace ?? '';
  if (source.configMap) return { payload: await renderConfigMap(objects, namespace, { ...source.configMap, mode }) };
  if (source.secret) return { payload: await renderSecret(objects, namespace, { ...source.secret, mode }) };
  if (source.downwardAPI) return { payload: renderDownwardApi(facts, source.downwardAPI.items ?? [], mode) };
  if (source.serviceAccountToken) {
    const { audience = '', expirationSeconds = defaultTokenSeconds, path } = source.serviceAccountToken;
    const { token, refreshAtMs } = await context.tokens.get(facts, { audience, expirationSeconds });
    const file = { data: Buffer.from(token), ...tokenAccess(facts.pod, mode) };
    return { payload: new Map([[checkedPath(path), file]]), refreshAtMs };
  }
  throw new SampanError(
    'Unsupported',
    `projected source ${Object.keys(source).join(', ')} is not supported by this node`,
  );
}

/** A token is for the Pod's user alone where one user or group is known; else anyone in the Pod may read it. */
function tokenAccess(pod: Pod, mode: number): { mode: number; uid?: number } {
  const uid = commonUser(pod);
  if (uid === undefined && pod.spec?.securityContext?.fsGroup === undefined) return { mode };
  return { mode: 0o600, ...(uid !== undefined ? { uid } : {}) };
}

/** The user that all containers run as, if there is one such. */
function commonUser(pod: Pod): number | undefined {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const users = containers.map(
    (container) => container.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser,
  );
  return new Set(users).size === 1 ? users[0] : undefined;
}
