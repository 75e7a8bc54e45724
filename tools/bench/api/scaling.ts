/** How fast Pods come, go and find a node as objects: controllers, scheduler and API server; the node is a name. */
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { Load } from './load.ts';
import { deployment, node, pod } from './objects.ts';
import { startSampan, type Target } from './targets.ts';

const limitMs = 300_000;

export interface ControllerTimes {
  /** Milliseconds from the scale's change until all Pods are there, or none. */
  up: number;
  down: number;
  /** From before each Pod's creation was sent until a watcher sees its node. */
  boundMs: number[];
}

export async function timeControllers(options: { replicas: number; bound: number }): Promise<ControllerTimes> {
  const target = await startSampan({ controllers: true });
  const load = new Load(target, 4);
  try {
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    await until('the default service account', async () => (await load.send('GET', account)).status === 200);
    const scaling = await scaleDeployment(load, options.replicas);
    return { ...scaling, boundMs: await bindPods(target, load, options.bound) };
  } finally {
    load.close();
    await target.close();
  }
}

async function until(what: string, wanted: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await wanted())) {
    if (performance.now() - began > limitMs) throw new Error(`${what} took more than ${limitMs / 1000} s`);
    await delay(10);
  }
  return performance.now() - began;
}

async function scaleDeployment(load: Load, replicas: number): Promise<{ up: number; down: number }> {
  const pods = async () => {
    const { body } = await load.need('GET', '/api/v1/namespaces/default/pods?limit=1');
    const { items, metadata } = JSON.parse(body.toString());
    return items.length + (metadata.remainingItemCount ?? 0);
  };
  const path = '/apis/apps/v1/namespaces/default/deployments';
  await load.need('POST', path, deployment('bench', 0));
  const scaleTo = async (count: number) => {
    await load.need('PATCH', `${path}/bench`, JSON.stringify({ spec: { replicas: count } }));
    return until(`${count} Pods`, async () => (await pods()) === count);
  };
  return { up: await scaleTo(replicas), down: await scaleTo(0) };
}

/** One Pod after another, on a node that is well and has room for all. */
async function bindPods(target: Target, load: Load, count: number): Promise<number[]> {
  const { metadata, status } = node('bench');
  await load.need('POST', '/api/v1/nodes', JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata }));
  await load.need('PATCH', '/api/v1/nodes/bench/status', JSON.stringify({ status }));
  const bound = new Map<string, () => void>();
  const stop = await watchPods(target, ({ object }) => {
    if (object.spec.nodeName) bound.get(object.metadata.name)?.();
  });
  const times: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const began = performance.now();
      const seen = new Promise<void>((resolve) => bound.set(`bound-${i}`, resolve));
      await load.need('POST', '/api/v1/namespaces/default/pods', pod(`bound-${i}`));
      const late = delay(30_000, undefined, { ref: false }).then(() => {
        throw new Error(`Pod bound-${i} was not bound within 30 s`);
      });
      await Promise.race([seen, late]);
      times.push(performance.now() - began);
    }
  } finally {
    stop();
  }
  return times;
}

interface PodEvent {
  object: { metadata: { name: string }; spec: { nodeName?: string } };
}

function watchPods(target: Target, told: (event: PodEvent) => void): Promise<() => void> {
  const { ca, certificate: cert, key } = target.credentials;
  return new Promise((resolve, reject) => {
    const url = new URL('/api/v1/namespaces/default/pods?watch=true', target.url);
    const sent = request(url, { ca, cert, key }, (response: IncomingMessage) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) told(JSON.parse(line) as PodEvent);
      });
      response.on('error', () => {});
      resolve(() => sent.destroy());
    });
    sent.on('error', reject);
    sent.end();
  });
}
