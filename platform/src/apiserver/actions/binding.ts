/** POST pods/<name>/binding and bindings: the scheduler's decision, written once (registry/core/pod BindingREST). */
import { resources } from '@sampan/api/client.ts';
import { z } from 'zod';
import { toTime } from '../../base/clock.ts';
import type { Action, ActionCall } from '../meta/action.ts';
import { badRequest, conflict, invalid } from '../meta/failures.ts';
import { copyOf, type Stored } from '../meta/object.ts';
import { success } from '../meta/status.ts';
import { put, withCurrent } from '../verbs/races.ts';

/** What a binding reads and writes of a Pod. */
type BoundPod = Stored & {
  spec?: { nodeName?: string; schedulingGates?: unknown[] };
  status?: { conditions?: { type: string }[] };
};

const target = z.object({ kind: z.string().nullish(), name: z.string().default('') });
const of = { group: '', kind: 'Binding' };

/** Both places a Binding is posted to. */
export const bindings: Action[] = ['binding', ''].map((subresource) => ({
  group: '',
  version: 'v1',
  resource: subresource ? 'pods' : 'bindings',
  subresource,
  namespaced: true,
  kind: { group: '', version: 'v1', kind: 'Binding' },
  run: bind,
}));

async function bind(call: ActionCall) {
  const { context, namespace, body, caller } = call;
  const name = call.name || body.metadata.name || '';
  if (body.metadata.name && body.metadata.name !== name) {
    throw badRequest(`the name of the object (${body.metadata.name}) does not match the name on the URL (${name})`);
  }
  const node = nodeOf(call, name);
  const place = { kind: context.kinds.of(resources.pods), namespace, name };
  await withCurrent(context, place, async (current) => {
    const { uid } = body.metadata;
    if (uid && uid !== current.metadata.uid) {
      const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
      throw conflict(resources.pods, name, why);
    }
    const pod = copyOf(current) as BoundPod;
    const refusal = refusalOf(pod);
    if (refusal) throw conflict({ group: '', resource: 'pods/binding' }, name, refusal);
    pod.spec = { ...pod.spec, nodeName: node };
    pod.metadata.annotations = { ...pod.metadata.annotations, ...body.metadata.annotations };
    if (Object.keys(pod.metadata.annotations).length === 0) delete pod.metadata.annotations;
    setScheduled(pod, toTime(context.clock.now()));
    if (!caller.dryRun) await put(context, place, { from: current, to: pod });
  });
  return success({}, 201);
}

function nodeOf({ body }: ActionCall, name: string): string {
  const parsed = target.safeParse((body as { target?: unknown }).target ?? {});
  if (!parsed.success) throw badRequest(`Binding: ${z.prettifyError(parsed.error)}`);
  const { kind, name: node } = parsed.data;
  if (kind && kind !== 'Node') {
    const message = `Unsupported value: "${kind}": supported values: "Node", "<empty>"`;
    throw invalid(of, name, [{ reason: 'FieldValueNotSupported', message, field: 'target.kind' }]);
  }
  if (!node)
    throw invalid(of, name, [{ reason: 'FieldValueRequired', message: 'Required value', field: 'target.name' }]);
  return node;
}

function refusalOf({ metadata, spec }: BoundPod): string | undefined {
  if (metadata?.deletionTimestamp) return `pod ${metadata.name} is being deleted, cannot be assigned to a host`;
  if (spec?.nodeName) return `pod ${metadata?.name} is already assigned to node "${spec.nodeName}"`;
  if (spec?.schedulingGates?.length) return `pod ${metadata?.name} has non-empty .spec.schedulingGates`;
  return undefined;
}

function setScheduled(pod: BoundPod, time: string): void {
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
  const condition = { type: 'PodScheduled', status: 'True', lastTransitionTime: time };
  pod.status = { ...pod.status, conditions: [...others, condition] };
}
