/**
 * POST pods/<name>/eviction: a deletion that first asks the Pod's disruption budget whether it may go (eviction-budget.ts). A Pod that is
 * evicted says so in its condition DisruptionTarget.
 */
import { type DeleteOptions, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import type { Action } from '../meta/action.ts';
import { badRequest, conflict, notFound } from '../meta/failures.ts';
import { copyOf, isObject, type Stored } from '../meta/object.ts';
import { success } from '../meta/status.ts';
import { type Caller, type Place, readFresh, type VerbContext } from '../verbs/context.ts';
import { deleteObject } from '../verbs/delete.ts';
import { deleteOptionsFrom } from '../verbs/delete-options.ts';
import { rewrite } from '../verbs/rewrite.ts';
import { askBudget } from './eviction-budget.ts';

type PodObject = Pod & KubeObject;

const maxAttempts = 5;

export const eviction: Action = {
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: 'eviction',
  namespaced: true,
  kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
  async run({ context, namespace, name, body, caller: asking }) {
    if (body.metadata.name && body.metadata.name !== name)
      throw badRequest('name in URL does not match name in Eviction object');
    const given = (body as { deleteOptions?: unknown }).deleteOptions;
    const { dryRun, ...options } = deleteOptionsFrom(isObject(given) ? given : {});
    const caller = { ...asking, dryRun: asking.dryRun || dryRun };
    const place = { kind: context.kinds.of(resources.pods), namespace, name };
    for (let tries = 1; ; tries++) {
      try {
        await evict(context, { place, caller, options });
        return success({}, 201);
      } catch (error) {
        // The Pod changed after it was judged: it is judged anew.
        if (!isReason(error, 'Conflict') || options.preconditions || tries === maxAttempts) throw error;
      }
    }
  },
};

interface Eviction {
  place: Place;
  caller: Caller;
  options: DeleteOptions;
}

async function evict(context: VerbContext, { place, caller, options }: Eviction): Promise<void> {
  const pod = await readFresh(context, place);
  if (!pod) throw notFound(resources.pods, place.name);
  const { exactly } = await askBudget(context, pod as PodObject, caller);
  const { uid, resourceVersion } = await tellEvicted(context, { place, pod, caller, exactly });
  const preconditions = { uid, ...(exactly && { resourceVersion }), ...options.preconditions };
  await deleteObject(context, { place, options: { ...options, preconditions }, caller });
}

interface Evicted {
  place: Place;
  pod: Stored;
  caller: Caller;
  /** Only of the Pod as it was judged. */
  exactly: boolean;
}

/** Failure policies of Jobs, and people, can tell an eviction from a fault by it (KEP-3329). Returns what the Pod is then. */
async function tellEvicted(context: VerbContext, evicted: Evicted): Promise<Stored['metadata']> {
  const { place, pod, caller, exactly } = evicted;
  const { phase } = (pod as PodObject).status ?? {};
  if (pod.metadata.deletionTimestamp || phase === 'Succeeded' || phase === 'Failed') return pod.metadata;
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: toTime(context.clock.now()),
  };
  const { metadata } = await rewrite(context, {
    place,
    target: 'status',
    caller,
    change(current) {
      const { resourceVersion } = current.metadata;
      if (exactly && resourceVersion !== pod.metadata.resourceVersion) throw conflict(resources.pods, place.name);
      const next = copyOf(current) as PodObject & Stored;
      const others = (next.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
      return { ...next, status: { ...next.status, conditions: [...others, condition] } } as Stored;
    },
  });
  return caller.dryRun ? pod.metadata : metadata;
}
