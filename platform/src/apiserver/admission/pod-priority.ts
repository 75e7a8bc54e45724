/** A Pod's priority number out of its class; 0 without one (plugin Priority). */
import type { PriorityClass } from 'kubernetes-types/scheduling/v1.d.ts';
import { forbidden } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionReader } from './admission.ts';
import { createdPodSpec } from './pods.ts';

const priorityClasses = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  resource: 'priorityclasses',
  namespaced: false,
} as const;

/** Classes that are there without an object. */
const builtIn = new Map([
  ['system-cluster-critical', 2_000_000_000],
  ['system-node-critical', 2_000_001_000],
]);

export const podPriority: AdmissionPlugin = {
  name: 'Priority',
  mutate(request) {
    const spec = createdPodSpec(request);
    if (!spec) return;
    const found = classFor(request.reader, spec.priorityClassName);
    if (!found) {
      const why = `no PriorityClass with name ${spec.priorityClassName} was found`;
      throw forbidden(request.kind.ref, request.name, why);
    }
    if (spec.priority !== undefined && spec.priority !== found.value) {
      throw forbidden(
        request.kind.ref,
        request.name,
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${found.value} from the given PriorityClass name`,
      );
    }
    if (found.name) spec.priorityClassName = found.name;
    spec.priority = found.value;
    spec.preemptionPolicy ??= found.preemptionPolicy;
  },
};

interface Found {
  name?: string;
  value: number;
  preemptionPolicy: string;
}

function classFor(reader: AdmissionReader, name: string | undefined): Found | undefined {
  const defaultPolicy = 'PreemptLowerPriority';
  if (!name) {
    for (const object of reader.list(priorityClasses)) {
      const { globalDefault, value, preemptionPolicy } = object as unknown as PriorityClass;
      if (globalDefault)
        return { name: object.metadata.name, value, preemptionPolicy: preemptionPolicy ?? defaultPolicy };
    }
    return { value: 0, preemptionPolicy: defaultPolicy };
  }
  const known = builtIn.get(name);
  if (known !== undefined) return { name, value: known, preemptionPolicy: defaultPolicy };
  const object = reader.get(priorityClasses, name) as unknown as PriorityClass | undefined;
  return object && { name, value: object.value, preemptionPolicy: object.preemptionPolicy ?? defaultPolicy };
}
