/**
 * Labels of its Node that a kubelet may not set: those that say where Pods may run, lest a node that was broken into draws others' to itself
 * (kubelet/pkg/apis well_known_labels.go).
 */

const own = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'node.kubernetes.io/instance-type',
  'beta.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
]);

type Labels = Record<string, string>;

/** Those of `next` and `before` that differ and are not a node's to change, in order. */
export function forbiddenLabels(next: Labels, before: Labels): string[] {
  const names = new Set([...Object.keys(next), ...Object.keys(before)]);
  return [...names].filter((name) => next[name] !== before[name] && !mayChange(name)).sort();
}

function mayChange(label: string): boolean {
  const namespace = label.includes('/') ? (label.split('/')[0] as string) : '';
  const isWithin = (domain: string) => namespace === domain || namespace.endsWith(`.${domain}`);
  if (isWithin('node-restriction.kubernetes.io')) return false;
  if (!isWithin('kubernetes.io') && !isWithin('k8s.io')) return true;
  return own.has(label) || isWithin('kubelet.kubernetes.io') || isWithin('node.kubernetes.io');
}
