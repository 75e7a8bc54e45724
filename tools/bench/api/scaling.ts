/** How fast a Deployment's Pods come and go as objects: controllers and API server, no node. */
import { setTimeout as delay } from 'node:timers/promises';
import { Load } from './load.ts';
import { deployment } from './objects.ts';
import { startSampan } from './targets.ts';

const limitMs = 300_000;

/** Milliseconds by what was timed. */
export async function scaleDeployment(replicas: number): Promise<Record<string, number>> {
  const target = await startSampan({ controllers: true });
  const load = new Load(target, 4);
  try {
    const pods = async () => {
      const { body } = await load.need('GET', '/api/v1/namespaces/default/pods?limit=1');
      const { items, metadata } = JSON.parse(body.toString());
      return items.length + (metadata.remainingItemCount ?? 0);
    };
    const until = async (what: string, wanted: () => Promise<boolean>) => {
      const began = performance.now();
      while (!(await wanted())) {
        if (performance.now() - began > limitMs) throw new Error(`${what} took more than ${limitMs / 1000} s`);
        await delay(10);
      }
      return performance.now() - began;
    };
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    await until('the default service account', async () => (await load.send('GET', account)).status === 200);
    const path = '/apis/apps/v1/namespaces/default/deployments';
    await load.need('POST', path, deployment('bench', 0));
    const scaleTo = async (count: number) => {
      await load.need('PATCH', `${path}/bench`, JSON.stringify({ spec: { replicas: count } }));
      return until(`${count} Pods`, async () => (await pods()) === count);
    };
    const up = await scaleTo(replicas);
    const down = await scaleTo(0);
    return { [`Deployment, 0 to ${replicas} Pods`]: up, [`Deployment, ${replicas} to 0 Pods`]: down };
  } finally {
    load.close();
    await target.close();
  }
}
