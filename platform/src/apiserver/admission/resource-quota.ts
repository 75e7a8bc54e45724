/**
 * Plugin ResourceQuota, the last of all: an object is made, or grows, only if every quota of its namespace has room for it. The quota's new
 * status.used is written in the same transaction as the object and only if nobody changed the quota meanwhile, so that used never
 * falls behind and no number of writes at once gets past it. The quota controller counts again when things go.
 */
import { resources } from '@sampan/api/client.ts';
import {
  type Amounts,
  describeAmounts,
  formatAmounts,
  growth,
  parseAmounts,
  pick,
  sum,
} from '@sampan/api/quota/amounts.ts';
import { isInScope } from '@sampan/api/quota/scopes.ts';
import { usageOf } from '@sampan/api/quota/usage.ts';
import type { Container, Pod, ResourceQuota } from 'kubernetes-types/core/v1.js';
import { encode } from '../cache/encoding.ts';
import { keyOf } from '../cache/key.ts';
import { forbidden } from '../meta/failures.ts';
import { copyOf, type Stored } from '../meta/object.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { TurnByKey } from './turn-by-key.ts';

/** A new quota is counted by its controller within moments. */
const countAttempts = 20;
const retryMs = 100;

type Quota = ResourceQuota & Stored;

export function resourceQuotaAdmission(): AdmissionPlugin {
  const turns = new TurnByKey();
  return {
    name: 'ResourceQuota',
    async validate(request) {
      const { namespace, commitment } = request;
      if (namespace === undefined || !mayCharge(request) || quotasFor(request).length === 0) return;
      if (!request.dryRun && commitment) {
        // One at a time in this process until the object is written: others would only lose the race for the quota.
        commitment.onEnd.push(await turns.take(namespace));
        await request.reader.refresh();
      }
      for (const quota of quotasFor(request)) await charge(request, quota);
    },
  };
}

/** Kinds of which an object that is there may come to count for more. */
const growing = ['services', 'persistentvolumeclaims'];

function mayCharge({ operation, subresource, kind }: AdmissionRequest): boolean {
  if (subresource !== '') return false;
  if (operation === 'CREATE') return true;
  return operation === 'UPDATE' && kind.ref.group === '' && growing.includes(kind.ref.resource);
}

/** What the write makes the object count for beyond what it did. */
function askedBy({ kind, object, old }: AdmissionRequest): Amounts {
  const usage = object ? usageOf(kind.ref, object) : {};
  return old ? growth(usageOf(kind.ref, old), usage) : usage;
}

/** Quotas of the namespace that count something of the object. */
function quotasFor(request: AdmissionRequest): Quota[] {
  const { reader, namespace, kind, object } = request;
  const quotas = [...reader.list(resources.resourcequotas, namespace)] as Quota[];
  if (quotas.length === 0 || !object) return [];
  const usage = askedBy(request);
  return quotas.filter(
    ({ spec = {} }) =>
      isInScope(spec, kind.ref, object) &&
      Object.keys(spec.hard ?? {}).some((name) => counts(isPods(kind.ref), name, usage)),
  );
}

const isPods = (ref: AdmissionRequest['kind']['ref']) => ref.group === '' && ref.resource === 'pods';

/** A Pod that names no CPU is still one that a quota of CPU is about. */
function counts(isPod: boolean, name: string, usage: Amounts): boolean {
  return usage[name] !== undefined || (isPod && computeResources.includes(name));
}

async function charge(request: AdmissionRequest, seen: Quota): Promise<void> {
  const { kind, namespace, reader, name } = request;
  const refuse = (why: string) => forbidden(kind.ref, name, why);
  const usage = askedBy(request);
  const quotaName = seen.metadata.name ?? '';
  const hard = parseAmounts(seen.spec?.hard);
  const asked = pick(usage, Object.keys(hard));
  const unsaid = missingResources(request, Object.keys(hard));
  if (unsaid) throw refuse(`failed quota: ${quotaName}: must specify ${unsaid}`);
  let quota: Quota | undefined = seen;
  for (let attempt = 1; unknownOf(quota, asked).length > 0; attempt++) {
    if (attempt === countAttempts) {
      throw refuse(`status unknown for quota: ${quotaName}, resources: ${unknownOf(quota, asked).join(',')}`);
    }
    await reader.sleep(retryMs);
    await reader.refresh();
    quota = reader.get(resources.resourcequotas, quotaName, namespace) as Quota | undefined;
    if (!quota) return;
  }
  const used = parseAmounts(quota.status?.used);
  const next = sum(pick(used, Object.keys(asked)), asked);
  const over = Object.keys(next).filter((resource) => (next[resource]?.compare(hard[resource]!) ?? 0) > 0);
  const exceeded = over.filter((resource) => !asked[resource]?.isZero());
  if (exceeded.length > 0) {
    const told = (amounts: Amounts) => describeAmounts(pick(amounts, exceeded));
    throw refuse(
      `exceeded quota: ${quotaName}, requested: ${told(asked)}, used: ${told(used)}, limited: ${told(hard)}`,
    );
  }
  request.commitment?.alongside.push(statusWrite(quota, { ...used, ...next }));
}

/** What is asked for and has not been counted yet. */
function unknownOf(quota: Quota | undefined, asked: Amounts): string[] {
  return Object.keys(asked)
    .filter((name) => quota?.status?.used?.[name] === undefined)
    .sort();
}

function statusWrite(quota: Quota, used: Amounts) {
  const next = copyOf(quota);
  next.status = { ...next.status, used: formatAmounts(used) };
  const { name = '', namespace, resourceVersion } = quota.metadata;
  const key = keyOf(resources.resourcequotas, name, namespace);
  return { key, value: encode(next), expect: Number(resourceVersion) };
}

const computeResources = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

/** `limits.cpu for: a,b; memory for: b`: a Pod under a quota of CPU or memory has to say how much each container wants. */
function missingResources({ kind, object }: AdmissionRequest, hard: string[]): string | undefined {
  if (!isPods(kind.ref)) return undefined;
  const { spec } = object as Pod;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  const told = hard
    .filter((name) => computeResources.includes(name))
    .sort()
    .map((name) => ({ name, silent: containers.filter((container) => !says(container, name)) }))
    .filter(({ silent }) => silent.length > 0)
    .map(
      ({ name, silent }) =>
        `${name} for: ${silent
          .map((container) => container.name)
          .sort()
          .join(',')}`,
    );
  return told.length > 0 ? told.join('; ') : undefined;
}

function says({ resources: asked }: Container, name: string): boolean {
  const [list, resource] = name.includes('.') ? name.split('.') : ['requests', name];
  return asked?.[list as 'requests' | 'limits']?.[resource as string] !== undefined;
}
