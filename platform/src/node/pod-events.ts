/** Events about Pods and their containers, as kubelet writes them. */
import type { ObjectReference, Pod } from 'kubernetes-types/core/v1.js';
import type { EventRecorder, EventType } from '../base/event-recorder.ts';

export interface PodEvents {
  pod(pod: Pod, type: EventType, reason: string, message: string): void;
  container(pod: Pod, container: string, event: { type: EventType; reason: string; message: string }): void;
}

export function createPodEvents(recorder: EventRecorder): PodEvents {
  return {
    pod: (pod, type, reason, message) => recorder.event(podReference(pod), type, reason, message),
    container: (pod, container, { type, reason, message }) =>
      recorder.event({ ...podReference(pod), fieldPath: fieldPath(pod, container) }, type, reason, message),
  };
}

function podReference(pod: Pod): ObjectReference {
  const { name, namespace, uid, resourceVersion } = pod.metadata ?? {};
  return { apiVersion: 'v1', kind: 'Pod', name, namespace, uid, resourceVersion };
}

function fieldPath(pod: Pod, name: string): string {
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  const list = lists.find((one) => pod.spec?.[one]?.some((container) => container.name === name)) ?? 'containers';
  return `spec.${list}{${name}}`;
}
