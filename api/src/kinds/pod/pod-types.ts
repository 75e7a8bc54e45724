/** Types of a Pod's parts, with the fields younger than the kubernetes-types package that we read. */
import type { Container, EphemeralContainer, Pod } from 'kubernetes-types/core/v1.js';

export type AnyContainer = Container | EphemeralContainer;

export type ContainerList = 'initContainers' | 'containers' | 'ephemeralContainers';

/** Every container with its path, such as `spec.initContainers[0]`, in the order Kubernetes reports on them. */
export function* containersOf(
  pod: Pod,
  lists: ContainerList[] = ['initContainers', 'containers', 'ephemeralContainers'],
): Generator<{ container: AnyContainer; path: string; list: ContainerList }> {
  for (const list of lists) {
    for (const [i, container] of (pod.spec?.[list] ?? []).entries()) {
      yield { container, path: `spec.${list}[${i}]`, list };
    }
  }
}

/** A sidecar: an init container that keeps running. */
export function isSidecar(container: AnyContainer): boolean {
  return (container as Container).restartPolicy === 'Always';
}
