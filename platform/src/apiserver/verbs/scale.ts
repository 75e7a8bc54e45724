/** The subresource `scale`: read and written as an autoscaling/v1 Scale, for every kind that says where its numbers stand. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { ScalePaths } from '@sampan/api/kind.ts';
import { scaleKind, scaleOf, setReplicas } from '@sampan/api/kinds/scale.ts';
import { invalid, unknownPath } from '../meta/failures.ts';
import { apiVersionOf } from '../meta/kinds.ts';
import { copyOf, type Stored } from '../meta/object.ts';
import { type ApplyRequest, apply } from './apply.ts';
import type { Caller, Place, VerbContext } from './context.ts';
import { decodeObject } from './decode.ts';
import { get } from './get.ts';
import { patcherFor } from './patch.ts';
import { rewrite } from './rewrite.ts';
import { demandName, settlePlace } from './system-fields.ts';

interface WriteScale {
  place: Place;
  caller: Caller;
  change(current: Stored): unknown;
}

export async function getScale(context: VerbContext, place: Place): Promise<Stored> {
  const paths = pathsOf(place);
  return scaleOf(await get(context, place), paths) as Stored;
}

/** Throws Conflict when the body carries a resourceVersion that is no longer current, Invalid for a number below 0. */
export function updateScale(
  context: VerbContext,
  { place, caller, body }: { place: Place; caller: Caller; body: unknown },
): Promise<Stored> {
  const change = () => {
    demandName(body, place);
    return body;
  };
  return writeScale(context, { place, caller, change });
}

/** `type` is the patch's media type. Throws UnsupportedMediaType for those the server does not know. */
export function patchScale(
  context: VerbContext,
  request: { place: Place; caller: Caller; type: string; patch: unknown },
): Promise<Stored> {
  const { place, caller, type, patch } = request;
  const change = patcherFor(type);
  return writeScale(context, { place, caller, change: (current) => change(current, patch, scaleKind) });
}

/** Server-side apply of a Scale, which has an opinion on nothing but the number of replicas. */
export async function applyScale(context: VerbContext, request: Omit<ApplyRequest, 'target'>): Promise<Stored> {
  const { place, caller, configuration } = request;
  const { kind } = place;
  const paths = pathsOf(place);
  const scale = decodeScale(place, configuration, { ...caller, fieldValidation: 'Strict' });
  const { name, uid, resourceVersion } = scale.metadata;
  const metadata = { name, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
  const object = { apiVersion: apiVersionOf(kind.ref), kind: kind.kind, metadata };
  const { spec } = configuration as { spec?: { replicas?: number } };
  if (typeof spec?.replicas === 'number') setReplicas(object, paths, spec.replicas);
  const applied = await apply(context, { ...request, target: 'scale', configuration: object });
  return scaleOf(applied.object, paths) as Stored;
}

async function writeScale(context: VerbContext, { place, caller, change }: WriteScale): Promise<Stored> {
  const paths = pathsOf(place);
  const written = await rewrite(context, {
    place,
    target: 'scale',
    caller,
    change(current) {
      const scale = decodeScale(place, change(scaleOf(current, paths) as Stored), caller);
      const object = copyOf(current);
      setReplicas(object, paths, (scale as { spec?: { replicas?: number } }).spec?.replicas ?? 0);
      const { uid, resourceVersion } = scale.metadata;
      Object.assign(object.metadata, { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) });
      return object;
    },
  });
  return scaleOf(written, paths) as Stored;
}

function decodeScale(place: Place, body: unknown, caller: Caller): KubeObject & Stored {
  const scale = decodeObject(scaleKind, body, caller);
  settlePlace(scale, place, place.name);
  scaleKind.applyDefaults(scale);
  const causes = scaleKind.validateCreate({
    ...scale,
    metadata: { name: place.name, namespace: place.namespace ?? 'x' },
  });
  if (causes.length > 0) throw invalid({ group: 'autoscaling', kind: 'Scale' }, place.name, causes);
  return scale;
}

function pathsOf({ kind }: Place): ScalePaths {
  if (!kind.scale) throw unknownPath();
  return kind.scale;
}
