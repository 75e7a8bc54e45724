/** `sampan rm`: deletes Pods and waits until they are gone. */
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { connection } from '../connect.ts';
import { forEach } from '../failure.ts';

export async function rm(pods: string[], options: { force?: boolean; namespace: string }): Promise<void> {
  const { client } = await connection();
  await forEach(pods, async (name) => {
    await deletePod(client, name, { namespace: options.namespace, gracePeriodSeconds: options.force ? 0 : undefined });
    process.stdout.write(`${name}\n`);
  });
}

/** Deletes a Pod and waits until its object is gone: its VM is released then. */
export async function deletePod(
  client: KubeClient,
  name: string,
  options: { namespace: string; gracePeriodSeconds?: number },
): Promise<void> {
  const { namespace, gracePeriodSeconds } = options;
  await client.delete(resources.pods, name, {
    namespace,
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
  });
  for (;;) {
    try {
      await client.get(resources.pods, name, namespace);
    } catch (error) {
      if (isReason(error, 'NotFound')) return;
      throw error;
    }
    await delay(50);
  }
}
