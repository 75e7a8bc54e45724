/** Many watchers of one kind, and a writer: how long until each has each event, and what that costs the server. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Load } from './load.ts';
import { configMap } from './objects.ts';
import { cpuMs, type Target } from './targets.ts';

export interface WatchLoad {
  /** Milliseconds from before the write was sent until a watcher had it. */
  deliveriesMs: number[];
  /** CPU of the server for one event to one watcher, microseconds. */
  cpuUs: number;
  /** Deliveries that had not come within some seconds of the last write. */
  missing: number;
}

const everyMs = 100;
/** After the last write, for what is still on its way. */
const graceMs = 3_000;

export async function watchLoad(
  target: Target,
  { watchers, events }: { watchers: number; events: number },
): Promise<WatchLoad> {
  const load = new Load(target, 1);
  const list = await load.need('GET', '/api/v1/namespaces/watched/configmaps');
  const { resourceVersion } = JSON.parse(list.body.toString()).metadata;
  const path = `/api/v1/namespaces/watched/configmaps?watch=true&resourceVersion=${resourceVersion}`;
  const orders = JSON.stringify({ url: target.url, path, credentials: target.credentials, watchers });
  const child = spawn(process.execPath, [join(import.meta.dirname, 'watchers.ts'), orders], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    while (!said.startsWith('ready\n')) {
      if (child.exitCode !== null) throw new Error('the watchers could not connect');
      await delay(20);
    }
    await delay(500);
    const cpuBefore = cpuMs(target);
    for (let i = 0; i < events; i++) {
      const next = delay(everyMs);
      const at = String(performance.timeOrigin + performance.now());
      await load.need(
        'POST',
        '/api/v1/namespaces/watched/configmaps',
        configMap(`${target.name}-${i}-${Math.round(Number(at))}`, at),
      );
      await next;
    }
    await delay(graceMs);
    const cpu = cpuMs(target) - cpuBefore;
    child.stdin.end();
    await gone;
    const deliveriesMs = JSON.parse(said.slice('ready\n'.length)) as number[];
    const cpuUs = (cpu * 1000) / Math.max(1, deliveriesMs.length);
    return { deliveriesMs, cpuUs, missing: watchers * events - deliveriesMs.length };
  } finally {
    load.close();
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}
