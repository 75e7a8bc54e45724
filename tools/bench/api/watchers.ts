/**
 * A child of `bench api`: many watches, each on a connection of its own. Takes its orders as JSON in its first argument, prints "ready" when
 * every watch is open, and at the end of its input one line of JSON: milliseconds from the writer's clock until the bytes of each event were in
 * the process. They are decrypted and read only after that (recorder.ts).
 */
import { request } from 'node:https';
import { setImmediate as turn } from 'node:timers/promises';
import { connect } from 'node:tls';
import { Recorder } from './recorder.ts';

interface Orders {
  url: string;
  path: string;
  credentials: { ca: string; certificate: string; key: string };
  watchers: number;
}

const { url, path, credentials, watchers } = JSON.parse(process.argv[2]!) as Orders;
const { ca, certificate: cert, key } = credentials;
const { hostname, port } = new URL(url);
const delays: number[] = [];
const recorders: Recorder[] = [];
const stamp = /"at":"(\d+\.?\d*)"/g;

function open(): Promise<void> {
  const recorder = new Recorder(Number(port), hostname);
  recorders.push(recorder);
  return new Promise((resolve, reject) => {
    const createConnection = () => connect({ socket: recorder, ca, cert, key, host: hostname });
    const outgoing = request(new URL(path, url), { createConnection }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`a watch was answered ${response.statusCode}`));
      let rest = '';
      response.setEncoding('latin1').on('data', (chunk: string) => {
        const end = chunk.lastIndexOf('\n') + 1;
        const lines = rest + chunk.slice(0, end);
        if (end === 0) rest += chunk;
        else rest = chunk.slice(end);
        if (end > 0) for (const [, at] of lines.matchAll(stamp)) delays.push(recorder.atMs - Number(at));
      });
      resolve();
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

for (let opened = 0; opened < watchers; opened += 25)
  await Promise.all(Array.from({ length: Math.min(25, watchers - opened) }, open));
for (const recorder of recorders) recorder.putAside();
process.stdout.write('ready\n');
process.stdin.resume().on('end', async () => {
  for (let more = true; more; await turn()) more = recorders.map((recorder) => recorder.readNext()).some(Boolean);
  process.stdout.write(`${JSON.stringify(delays)}\n`, () => process.exit(0));
});
