/**
 * Keeps new Pods off the instance's node while `down --pods` ends those that are there: what a Deployment makes again then waits, and starts at the
 * next `up`. A node that somebody else cordoned stays so.
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';

/** Says that it was us. */
const annotation = 'sampan.dev/cordoned-by-down';

interface NodeObject extends KubeObject {
  spec?: { unschedulable?: boolean };
}

export async function cordon(client: KubeClient, nodeName: string): Promise<void> {
  const node = await client.get<NodeObject>(resources.nodes, nodeName);
  if (node.spec?.unschedulable) return;
  await mark(client, nodeName, true);
}

/** Takes back what `cordon` did. */
export async function uncordon(client: KubeClient, nodeName: string): Promise<void> {
  const node = await client.get<NodeObject>(resources.nodes, nodeName);
  if (node.metadata?.annotations?.[annotation]) await mark(client, nodeName, null);
}

async function mark(client: KubeClient, nodeName: string, value: true | null): Promise<void> {
  const patch = { metadata: { annotations: { [annotation]: value && 'true' } }, spec: { unschedulable: value } };
  await client.patch(resources.nodes, nodeName, patch, { type: 'application/merge-patch+json' });
}
