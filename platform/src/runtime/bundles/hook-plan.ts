/** What config.json asks the host to run around a container's life (runtime-spec, config.md "POSIX-platform Hooks"). Pure. */
import type { OciConfig, OciHook } from './oci-config.ts';

/** Those that run in the runtime's namespaces, in their order. */
const hostHooks = ['prestart', 'createRuntime', 'poststart', 'poststop'] as const;
export type HostHookKind = (typeof hostHooks)[number];
export type HostHookPlan = Record<HostHookKind, OciHook[]>;

export const isHostHook = (name: string): boolean => (hostHooks as readonly string[]).includes(name);

/** Undefined: there are none. */
export function hookPlan({ hooks }: OciConfig): HostHookPlan | undefined {
  const of = (kind: HostHookKind) => hooks?.[kind] ?? [];
  const [prestart, createRuntime, poststart, poststop] = hostHooks.map(of) as [
    OciHook[],
    OciHook[],
    OciHook[],
    OciHook[],
  ];
  const plan = { prestart, createRuntime, poststart, poststop };
  return Object.values(plan).some((list) => list.length > 0) ? plan : undefined;
}

export interface HookedContainer {
  /** As its caller calls it. */
  name: string;
  bundle: string;
  annotations: Record<string, string>;
}

export type HookMoment = { status: 'creating' | 'running'; pid: number } | { status: 'stopped' };

/** runtime-spec, runtime.md "State": what a hook reads. */
export const hookState = ({ name, bundle, annotations }: HookedContainer, moment: HookMoment): string =>
  JSON.stringify({ ociVersion: '1.0.2', id: name, ...moment, bundle, annotations });
