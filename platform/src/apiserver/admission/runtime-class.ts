/** What a Pod's RuntimeClass gives it: its overhead, where it may run, and that the class is there at all (plugin RuntimeClass). */
import { isDeepStrictEqual } from 'node:util';
import { runtimeClasses } from '@sampan/api/kinds/runtime-class.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import type { PodSpec } from 'kubernetes-types/core/v1.d.ts';
import type { RuntimeClass } from 'kubernetes-types/node/v1.d.ts';
import { forbidden } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { createdPodSpec } from './pods.ts';

export const runtimeClassAdmission: AdmissionPlugin = {
  name: 'RuntimeClass',
  mutate(request) {
    const spec = createdPodSpec(request);
    if (!spec?.runtimeClassName) return;
    const found = classOf(request, spec.runtimeClassName);
    takeOverhead(request, spec, found);
    takeScheduling(request, spec, found);
  },
  /** What other plugins made of the Pod in between counts too. */
  validate(request) {
    const spec = createdPodSpec(request);
    if (!spec) return;
    const overhead = spec.runtimeClassName ? classOf(request, spec.runtimeClassName).overhead?.podFixed : undefined;
    if (!overhead && Object.keys(spec.overhead ?? {}).length > 0)
      refuse(request, 'Pod Overhead set without corresponding RuntimeClass defined Overhead');
    if (overhead && !sameAmounts(spec.overhead, overhead)) refuse(request, mismatch);
  },
};

const mismatch = "Pod's Overhead doesn't match RuntimeClass's defined Overhead";

function refuse({ kind, name }: AdmissionRequest, why: string): never {
  throw forbidden(kind.ref, name, `pod rejected: ${why}`);
}

function classOf(request: AdmissionRequest, name: string): RuntimeClass {
  const found = request.reader.get(runtimeClasses, name);
  // What is in the cache is frozen, and parts of it go into the Pod.
  return found
    ? (structuredClone(found) as unknown as RuntimeClass)
    : refuse(request, `RuntimeClass "${name}" not found`);
}

function takeOverhead(request: AdmissionRequest, spec: PodSpec, { overhead }: RuntimeClass): void {
  if (!overhead?.podFixed) return;
  if (spec.overhead && !sameAmounts(spec.overhead, overhead.podFixed)) refuse(request, mismatch);
  spec.overhead = { ...overhead.podFixed };
}

function takeScheduling(request: AdmissionRequest, spec: PodSpec, { scheduling }: RuntimeClass): void {
  for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
    const own = spec.nodeSelector?.[key];
    if (own !== undefined && own !== value) {
      const why = `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`;
      refuse(request, why);
    }
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
  }
  const own = spec.tolerations ?? [];
  const more = (scheduling?.tolerations ?? []).filter((one) => !own.some((other) => isDeepStrictEqual(one, other)));
  if (more.length > 0) spec.tolerations = [...own, ...more];
}

/** "100m" is the same amount as "0.1". */
function sameAmounts(a: Record<string, string> = {}, b: Record<string, string> = {}): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => {
    const [one, other] = [tryParseQuantity(a[name]), tryParseQuantity(b[name])];
    return one !== undefined && other !== undefined && one.compare(other) === 0;
  });
}
