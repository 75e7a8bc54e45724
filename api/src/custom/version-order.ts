/** Versions as Kubernetes ranks them (apimachinery pkg/version CompareKubeAwareVersionStrings): v2, v1, v1beta2, v1alpha1, then the rest by name. */

const form = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const stages = { alpha: 0, beta: 1, stable: 2 } as const;

export function inVersionOrder<T extends { name: string }>(versions: readonly T[]): T[] {
  return [...versions].sort((a, b) => compareVersions(a.name, b.name));
}

/** Negative when `a` ranks before `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [rank(a), rank(b)];
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : a > b ? 1 : 0;
  for (const [i, one] of left.entries()) if (one !== right[i]) return right[i]! - one;
  return 0;
}

function rank(version: string): number[] | undefined {
  const [, major, stage = 'stable', minor = '0'] = form.exec(version) ?? [];
  return major === undefined ? undefined : [stages[stage as keyof typeof stages], Number(major), Number(minor)];
}
