/**
 * A small network to test the bridge driver in: this process's own network namespace is the host, a second one the world outside,
 * and each guest is a namespace behind a tap. Everything ends with this process, since it hangs on pipes to it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/base/child.ts';
import type { Attachment } from '../../src/network/network.ts';

export const worldAddress = '198.51.100.2';
export const uplinkAddress = '198.51.100.1';

export interface Namespace extends AsyncDisposable {
  pid: number;
  /** Runs `ip` with these words inside. */
  ip(words: string): Promise<void>;
  /** Runs an ES module's text inside and gives what it printed. */
  node(script: string): Promise<string>;
}

export async function newNamespace(): Promise<Namespace> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up; echo ready; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout!, 'data');
  const pid = holder.pid!;
  const enter = (command: string, args: string[]) => run('nsenter', ['-t', String(pid), '-n', command, ...args]);
  return {
    pid,
    ip: async (words) => void (await enter('ip', words.split(' '))),
    node: async (script) => (await enter(process.execPath, ['--input-type=module', '-e', script])).stdout.trim(),
    [Symbol.asyncDispose]: () => end(holder),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.stdin?.end();
  await ended;
}

/** The host's uplink and default route, to a world that knows no way back to Pod addresses. */
export async function newWorld(): Promise<Namespace> {
  const world = await newNamespace();
  await run('ip', ['link', 'set', 'lo', 'up']);
  await run('ip', `link add up0 type veth peer name eth0 netns ${world.pid}`.split(' '));
  await run('ip', `address add ${uplinkAddress}/24 dev up0`.split(' '));
  await run('ip', 'link set up0 up'.split(' '));
  await run('ip', `route add default via ${worldAddress}`.split(' '));
  await world.ip(`address add ${worldAddress}/24 dev eth0`);
  await world.ip('link set eth0 up');
  return world;
}

const guestScript = fileURLToPath(new URL('../fixtures/tap-guest.pl', import.meta.url));

/** A guest as the agent configures one. */
export async function newGuest(attachment: Attachment): Promise<Namespace> {
  const namespace = await newNamespace();
  const place = attachment.netnsPath ? ['nsenter', `--net=${attachment.netnsPath}`] : [];
  const [command = '', ...args] = [
    ...place,
    ...['perl', guestScript, attachment.tapName!, String(namespace.pid), attachment.mac],
  ];
  const pump = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([
    once(pump.stdout!, 'data'),
    once(pump, 'exit').then(() => Promise.reject(new Error('no guest'))),
  ]);
  const { address, prefixLength, gateway } = attachment.ipv4;
  await namespace.ip(`address add ${address}/${prefixLength} dev eth0`);
  await namespace.ip('link set eth0 up');
  if (gateway) await namespace.ip(`route add default via ${gateway}`);
  const { ipv6 } = attachment;
  if (ipv6) await namespace.ip(`address add ${ipv6.address}/${ipv6.prefixLength} dev eth0 nodad`);
  return {
    ...namespace,
    [Symbol.asyncDispose]: async () => {
      await end(pump);
      await namespace[Symbol.asyncDispose]();
    },
  };
}

/** How long who expects no answer waits for one; who expects one has more patience. */
export const silenceMs = 1500;

/** Module text: connects and prints what the other side said first, or "refused" or "timeout". */
export const tcpGreeting = (host: string, port: number, timeoutMs = 20_000): string => `
import { connect } from 'node:net';
const socket = connect({ host: '${host}', port: ${port} });
socket.on('data', (data) => { console.log(String(data)); process.exit(); });
socket.on('error', () => { console.log('refused'); process.exit(); });
setTimeout(() => { console.log('timeout'); process.exit(); }, ${timeoutMs});`;

export interface Greeter extends AsyncDisposable {
  port: number;
}

/** A TCP server in a namespace (or here) that greets each caller with the caller's address. On `::` it serves both families. */
export async function newGreeter(pid: number | undefined, port: number, host = '0.0.0.0'): Promise<Greeter> {
  const script = `
import { createServer } from 'node:net';
createServer((socket) => { socket.on('error', () => {}); socket.end('hello ' + socket.remoteAddress.replace('::ffff:', '')); })
  .listen({ host: '${host}', port: ${port} }, () => console.log('ready'));
process.stdin.resume().on('end', () => process.exit());`;
  const enter = pid ? ['nsenter', '-t', String(pid), '-n'] : [];
  const [command = '', ...args] = [...enter, process.execPath, '--input-type=module', '-e', script];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return { port, [Symbol.asyncDispose]: () => end(child) };
}
