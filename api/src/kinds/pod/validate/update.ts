/** What may change in a Pod that exists: very little. */
import type { Container, EphemeralContainer, Pod, PodSpec, Toleration } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { forbidden, invalid } from '../../../field-errors.ts';
import { equalJson } from '../../../json.ts';
import { rangeMessage } from '../../../names.ts';
import { maxInt32 } from './spec.ts';

type Spec = PodSpec & { schedulingGates?: { name: string }[] };

const updatable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
];

export function validateSpecUpdate(pod: Pod, old: Pod): Cause[] {
  const [spec, before] = [pod.spec as Spec, old.spec as Spec];
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list]?.length ?? 0) !== (before[list]?.length ?? 0)) {
      return [forbidden(`spec.${list}`, 'pod updates may not add or remove containers')];
    }
  }
  const causes = [
    ...checkDeadline(spec.activeDeadlineSeconds, before.activeDeadlineSeconds),
    ...checkTolerations(spec.tolerations, before.tolerations),
    ...checkGates(spec.schedulingGates, before.schedulingGates),
  ];
  const changed = changedFields(withUpdatable(spec, before), before);
  if (changed.length > 0) {
    const detail = `pod updates may not change fields other than ${updatable.join(',')}\nchanged: ${changed.join(', ')}`;
    causes.push(forbidden('spec', detail));
  }
  return causes;
}

/** The new spec with everything that may change put back as it was: what still differs may not. */
function withUpdatable(spec: Spec, before: Spec): Spec {
  const withOldImages = (containers: Container[] | undefined, old: Container[] | undefined) =>
    containers?.map((container, i) => ({ ...container, image: old?.[i]?.image }));
  const same: Spec = {
    ...spec,
    containers: withOldImages(spec.containers, before.containers)!,
    initContainers: withOldImages(spec.initContainers, before.initContainers),
    activeDeadlineSeconds: before.activeDeadlineSeconds,
    tolerations: before.tolerations,
    schedulingGates: before.schedulingGates,
  };
  if (spec.terminationGracePeriodSeconds === 1 && (before.terminationGracePeriodSeconds ?? 0) < 0) {
    same.terminationGracePeriodSeconds = before.terminationGracePeriodSeconds;
  }
  // A gated Pod is not placed yet: it may ask for more of its node.
  if (before.schedulingGates?.length && onlyAdds(spec.nodeSelector, before.nodeSelector)) {
    same.nodeSelector = before.nodeSelector;
  }
  return same;
}

function onlyAdds(labels: Record<string, string> = {}, before: Record<string, string> = {}): boolean {
  return Object.entries(before).every(([key, value]) => labels[key] === value);
}

/** Paths of what differs, as deep as objects go: `spec.containers[0].command`. */
function changedFields(now: unknown, before: unknown, path = 'spec'): string[] {
  if (equalJson(now, before)) return [];
  if (typeof now !== 'object' || typeof before !== 'object' || !now || !before) return [path];
  if (Array.isArray(now) !== Array.isArray(before)) return [path];
  const [left, right] = [now as Record<string, unknown>, before as Record<string, unknown>];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  const at = (name: string) => (Array.isArray(now) ? `${path}[${name}]` : `${path}.${name}`);
  return [...names].flatMap((name) => changedFields(left[name], right[name], at(name)));
}

function checkDeadline(now: number | undefined, before: number | undefined): Cause[] {
  const field = 'spec.activeDeadlineSeconds';
  if (now === undefined) {
    return before === undefined ? [] : [invalid(field, null, 'must not update from a positive integer to nil value')];
  }
  if (now < 0 || now > maxInt32) return [invalid(field, now, rangeMessage(0, maxInt32))];
  if (before === undefined || now <= before) return [];
  return [invalid(field, now, 'must be less than or equal to previous value')];
}

function checkTolerations(now: Toleration[] = [], before: Toleration[] = []): Cause[] {
  // By text, not each with each: there may be very many.
  const textOf = ({ key, operator, value, effect }: Toleration) => JSON.stringify([key, operator, value, effect]);
  const kept = new Set(now.map(textOf));
  const isKept = (old: Toleration) => kept.has(textOf(old));
  if (before.every(isKept)) return [];
  return [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
}

function checkGates(now: { name: string }[] = [], before: { name: string }[] = []): Cause[] {
  const names = new Set(before.map((gate) => gate.name));
  return now.flatMap(({ name }, i) =>
    names.has(name)
      ? []
      : [
          forbidden(
            `spec.schedulingGates[${i}].name`,
            `only deletion is allowed, but found new scheduling gate '${name}'`,
          ),
        ],
  );
}

/** Ephemeral containers are added one after another; those there are neither change nor go. */
export function validateEphemeralUpdate(pod: Pod, old: Pod): Cause[] {
  const field = 'spec.ephemeralContainers';
  const now = new Map<string, EphemeralContainer>((pod.spec?.ephemeralContainers ?? []).map((one) => [one.name, one]));
  return (old.spec?.ephemeralContainers ?? []).flatMap((before) => {
    const name = JSON.stringify(before.name);
    const container = now.get(before.name);
    if (!container) return [forbidden(field, `existing ephemeral containers ${name} may not be removed\n`)];
    const changed = changedFields(container, before, before.name);
    if (changed.length === 0) return [];
    return [forbidden(field, `existing ephemeral containers ${name} may not be changed\n${changed.join(', ')}`)];
  });
}
