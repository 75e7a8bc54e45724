/**
 * A child of `bench api`: many watches, each on a connection of its own. Takes its orders as JSON in its first argument, prints "ready" when
 * every watch is open, and at the end of its input one line of JSON: milliseconds from the writer's clock to each watcher.
 */
import { Agent, request } from 'node:https';

interface Orders {
  url: string;
  path: string;
  credentials: { ca: string; certificate: string; key: string };
  watchers: number;
}

const { url, path, credentials, watchers } = JSON.parse(process.argv[2]!) as Orders;
const { ca, certificate: cert, key } = credentials;
const agent = new Agent({ ca, cert, key, keepAlive: false });
const delays: number[] = [];
const stamp = /"at":"(\d+\.?\d*)"/g;

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, url), { agent }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`a watch was answered ${response.statusCode}`));
      let rest = '';
      response.setEncoding('latin1').on('data', (chunk: string) => {
        const now = performance.timeOrigin + performance.now();
        const end = chunk.lastIndexOf('\n') + 1;
        const lines = rest + chunk.slice(0, end);
        if (end === 0) rest += chunk;
        else rest = chunk.slice(end);
        if (end > 0) for (const [, at] of lines.matchAll(stamp)) delays.push(now - Number(at));
      });
      resolve();
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

for (let opened = 0; opened < watchers; opened += 25)
  await Promise.all(Array.from({ length: Math.min(25, watchers - opened) }, open));
process.stdout.write('ready\n');
process.stdin.resume().on('end', () => {
  process.stdout.write(`${JSON.stringify(delays)}\n`, () => process.exit(0));
});
