/** What the checks of the Pod Security Standards are made of (k8s.io/pod-security-admission/policy), and how their findings are worded. */
import type { PodSpec, SecurityContext } from 'kubernetes-types/core/v1.js';

export interface Subject {
  annotations: Record<string, string>;
  spec: PodSpec;
}

export interface Finding {
  reason: string;
  detail?: string;
}

export interface Check {
  id: string;
  /** The 1.x since which the standard has it. */
  since: number;
  /** Of the baseline: not asked where this one is. */
  overrides?: string;
  /** `minor`: of the version of the standard that is asked for. */
  run(subject: Subject, minor: number): Finding | undefined;
}

/** Fields younger than the types package. */
export type Context = SecurityContext & { appArmorProfile?: { type?: string } };

export interface ContainerView {
  name: string;
  context: Context;
  ports: { hostPort?: number }[];
}

/** Every container of every kind: init containers first, as the standards' own code visits them. */
export function containersOf({ initContainers, containers, ephemeralContainers }: PodSpec): ContainerView[] {
  return [...(initContainers ?? []), ...(containers ?? []), ...(ephemeralContainers ?? [])].map((container) => ({
    name: container.name,
    context: (container.securityContext ?? {}) as Context,
    ports: container.ports ?? [],
  }));
}

export const quoted = (values: readonly string[]): string => values.map((value) => JSON.stringify(value)).join(', ');

export const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many);

/** `container "a"` or `containers "a", "b"`. */
export function containersText(names: readonly string[]): string {
  return `${plural('container', 'containers', names.length)} ${quoted(names)}`;
}

/** `pod and container "a"`: who set something. */
export function setters(pod: boolean, names: readonly string[]): string {
  return [...(pod ? ['pod'] : []), ...(names.length > 0 ? [containersText(names)] : [])].join(' and ');
}
