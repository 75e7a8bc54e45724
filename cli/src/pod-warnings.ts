/** What the platform warns of while a Pod does not start: its Events of type Warning. */
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';

interface WarningEvent extends KubeObject {
  reason?: string;
  message?: string;
  lastTimestamp?: string;
}

/** `Reason: message`, oldest first. */
export async function podWarnings(client: KubeClient, pod: KubeObject): Promise<string[]> {
  const { name, namespace = 'default', uid } = pod.metadata ?? {};
  const fieldSelector = `involvedObject.name=${name},involvedObject.uid=${uid},type=Warning`;
  const { items } = await client.list<WarningEvent>(resources.events, { namespace, fieldSelector });
  const byTime = items.sort((a, b) => (a.lastTimestamp ?? '').localeCompare(b.lastTimestamp ?? ''));
  return byTime.map(({ reason, message }) => `${reason}: ${message}`);
}

const everyMs = 3000;

/** Tells each warning once, until `signal` aborts. Never throws: what cannot be asked now is asked again. */
export async function tellWarnings(
  client: KubeClient,
  pod: KubeObject,
  tell: (warning: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const told = new Set<string>();
  while (!signal.aborted) {
    await delay(everyMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    for (const warning of await podWarnings(client, pod).catch(() => [])) {
      if (!told.has(warning) && !signal.aborted) tell(warning);
      told.add(warning);
    }
  }
}
