/** The container meant when none is named: as kubectl chooses, the annotated one, else the first. */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';

const annotation = 'kubectl.kubernetes.io/default-container';

interface AnyPod extends KubeObject {
  spec?: { containers: { name: string }[] };
}

/** Throws NotFound when there is no such Pod. */
export async function defaultContainer(client: KubeClient, pod: string, namespace: string): Promise<string> {
  return preferredContainer(await client.get<AnyPod>(resources.pods, pod, namespace));
}

/** Pure. */
export function preferredContainer({ metadata, spec }: AnyPod): string {
  const names = (spec?.containers ?? []).map((container) => container.name);
  const preferred = metadata?.annotations?.[annotation] ?? '';
  return names.includes(preferred) ? preferred : (names[0] ?? '');
}
