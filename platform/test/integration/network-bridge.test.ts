/**
 * The bridge driver on a real kernel. Runs itself again inside a network namespace, so that the host's network is never touched
 * and nothing can be left behind in it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { run } from '../../src/base/child.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type BridgeNetworkOptions, createBridgeNetwork } from '../../src/network/bridge/bridge-network.ts';
import { deviceList } from '../../src/network/bridge/links.ts';
import type { Network, PortMapping } from '../../src/network/network.ts';
import { networkSuite, requestOf } from '../../src/network/network-suite.ts';
import {
  type Namespace,
  newGreeter,
  newGuest,
  newNamespace,
  newWorld,
  silenceMs,
  tcpGreeting,
  uplinkAddress,
  worldAddress,
} from './network-lab.ts';
import { testInside } from './support/own-namespaces.ts';

/** Why this machine cannot run these tests, or undefined. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  for (const tool of ['unshare', 'nsenter', 'ip', 'nft', 'perl']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `needs ${tool}`;
  }
  if (spawnSync('unshare', ['--net', 'true']).status !== 0)
    return 'this kernel or container allows no network namespaces';
  return undefined;
}

testInside(
  'the bridge driver, inside a network namespace of its own',
  {
    file: import.meta.filename,
    namespaces: ['net'],
    timeoutMs: 300_000,
    obstacle,
  },
  insideNamespace,
);

interface Lab extends AsyncDisposable {
  home: string;
  network: Network;
  /** Another object over the same directory, not started. */
  restarted(): Promise<Network>;
}

/** A started network; disposing closes every object made and removes everything. */
async function newNetwork(options: Partial<BridgeNetworkOptions> = {}): Promise<Lab> {
  const home = await mkdtemp(join(tmpdir(), 'sampan-net-'));
  const made: Network[] = [];
  const make = async () => {
    const network = await createBridgeNetwork({ run: home, tag: 'test', log: silentLogger, ...options });
    made.push(network);
    return network;
  };
  const dispose = async () => {
    for (const network of made) await network.close();
    const last = await make();
    await last.start();
    await Promise.all((await last.list()).map(({ sandboxId }) => last.detach(sandboxId)));
    await last.teardown();
    await rm(home, { recursive: true, force: true });
  };
  const network = await make();
  await network.start();
  return { home, network, restarted: make, [Symbol.asyncDispose]: dispose };
}

function insideNamespace(): void {
  networkSuite('bridge', {
    make: async ({ capacity }) => {
      assert.ok(capacity === undefined || capacity === 5);
      const under = await newNetwork({ subnet: capacity ? '10.99.0.0/29' : undefined });
      return { ...under, dispose: async () => under[Symbol.asyncDispose]() };
    },
  });
  describe('the bridge network on a host', hostTests);
  describe('traffic of Pods on the bridge', trafficTests);
}

function hostTests(): void {
  test('teardown leaves nothing: no device, no rule, no file', async () => {
    const ruleset = async () => (await run('nft', ['list', 'ruleset'])).stdout;
    const [devices, rules] = [await deviceList(), await ruleset()];
    const { network, home } = await newNetwork();
    await network.attach(requestOf('a'));
    await network.detach('a');
    await network.teardown();
    assert.deepEqual(await deviceList(), devices);
    assert.equal(await ruleset(), rules);
    assert.deepEqual(await readdir(home), []);
    await rm(home, { recursive: true });
  });

  test('two instances pick different subnets, and one keeps clear of what the host routes', async () => {
    await using one = await newNetwork({ tag: 'same1' });
    await run('ip', ['route', 'add', 'blackhole', '10.64.0.0/11']);
    await using other = await newNetwork({ tag: 'same2' });
    const second = (address: string) => Number(address.split('.')[1]);
    assert.notEqual(second(one.network.hostAddress()), second(other.network.hostAddress()));
    assert.ok(second(other.network.hostAddress()) >= 96, other.network.hostAddress());
    await run('ip', ['route', 'del', 'blackhole', '10.64.0.0/11']);
  });

  test('start removes taps and half-written leases that a killed server left, and makes missing taps on attach', async () => {
    await using lab = await newNetwork();
    const { network, home, restarted } = lab;
    const kept = await network.attach(requestOf('kept'));
    await network.close();
    await run('ip', ['tuntap', 'add', 'dev', 'stest-ffff', 'mode', 'tap', 'vnet_hdr']);
    await run('ip', ['link', 'delete', 'dev', kept.tapName!]);
    await writeFile(join(home, 'network/leases/10.64.0.9'), '');
    const again = await restarted();
    await again.start();
    assert.ok(!(await deviceList()).has('stest-ffff'));
    assert.deepEqual(await again.attach(requestOf('kept')), kept);
    assert.ok((await deviceList()).has(kept.tapName!));
    assert.deepEqual(await readdir(join(home, 'network/leases')), [kept.ipv4.address]);
  });

  test('where a process of the host has port 53 of every address, Pods resolve all the same', async () => {
    const name = 'kubernetes.default.svc.cluster.local';
    await run('ip', ['link', 'set', 'lo', 'up']);
    const taker = createSocket('udp4').bind({ address: '0.0.0.0', port: 53 });
    try {
      await once(taker, 'listening');
      await using lab = await newNetwork({ tag: 'dns' });
      await using guest = await newGuest(await lab.network.attach(requestOf('a')));
      const gateway = lab.network.hostAddress();
      assert.equal(await guest.node(resolving(name, gateway)), gateway);
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', resolving(name, gateway)]);
      assert.equal(stdout.trim(), gateway, 'and so does the host');
      // The next server of the instance finds the port free.
      taker.close();
      await lab.network.close();
      await (await lab.restarted()).start();
      assert.equal(await guest.node(resolving(name, gateway)), gateway);
    } finally {
      // Open still where the test has failed.
      taker.unref();
    }
  });

  test('a Pod waits little for its tap, alone and among fifty', async (t) => {
    await using lab = await newNetwork();
    const times: number[] = [];
    for (let index = 0; index < 40; index++) {
      const begin = performance.now();
      await lab.network.attach(requestOf(`alone-${index}`));
      times.push(performance.now() - begin);
    }
    const begin = performance.now();
    await Promise.all(Array.from({ length: 50 }, (_, index) => lab.network.attach(requestOf(`crowd-${index}`))));
    const crowd = performance.now() - begin;
    times.sort((a, b) => a - b);
    t.diagnostic(
      `attach p50 ${times[20]?.toFixed(1)} ms, p95 ${times[38]?.toFixed(1)} ms; fifty at once ${crowd.toFixed(1)} ms`,
    );
    assert.ok(
      times[20]! < 1000 && crowd < 10_000,
      'far beyond what this takes, even on a machine that does other things',
    );
  });
}

/** Module text: prints the address that the resolver there has for the name, or its error's code. */
const resolving = (name: string, server: string): string => `
import { Resolver } from 'node:dns/promises';
const resolver = new Resolver({ timeout: 20_000, tries: 1 });
resolver.setServers(['${server}']);
console.log((await resolver.resolve4('${name}').catch((error) => [error.code])).join());`;

function trafficTests(): void {
  const scope = new AsyncDisposableStack();
  let world: Namespace;
  let lab: Lab;
  let guests: Namespace[];
  let addresses: string[];

  before(async () => {
    world = scope.use(await newWorld());
    // Docker's state of affairs: whatever nobody accepts is not forwarded.
    await run('iptables-nft', ['-P', 'FORWARD', 'DROP']).catch(() => {});
    lab = scope.use(await newNetwork({ allowHostPorts: [6443], redirectHttpsTo: 6443 }));
    const attachments = [await lab.network.attach(requestOf('a')), await lab.network.attach(requestOf('b'))];
    addresses = attachments.map((one) => one.ipv4.address);
    guests = [];
    for (const attachment of attachments) guests.push(scope.use(await newGuest(attachment)));
    scope.use(await newGreeter(world.pid, 8080));
    scope.use(await newGreeter(undefined, 6443));
    scope.use(await newGreeter(undefined, 22));
    for (const guest of guests) scope.use(await newGreeter(guest.pid, 80));
  });
  after(() => scope.disposeAsync());

  const ask = (from: Namespace, host: string, port: number, timeoutMs?: number) =>
    from.node(tcpGreeting(host, port, timeoutMs));

  test('a Pod reaches another Pod under its own address', async () => {
    assert.equal(await ask(guests[0]!, addresses[1]!, 80), `hello ${addresses[0]}`);
  });

  test('a Pod reaches the outside through NAT, where FORWARD is DROP too', async () => {
    assert.equal(await ask(guests[0]!, worldAddress, 8080), `hello ${uplinkAddress}`);
  });

  test('the host reaches a Pod', async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', tcpGreeting(addresses[0]!, 80)]);
    assert.equal(stdout.trim(), `hello ${lab.network.hostAddress()}`);
  });

  test('of the host a Pod reaches the API port, and 443 in its stead, and nothing else', async () => {
    const gateway = lab.network.hostAddress();
    assert.equal(await ask(guests[0]!, gateway, 6443), `hello ${addresses[0]}`);
    assert.equal(await ask(guests[0]!, gateway, 443), `hello ${addresses[0]}`);
    assert.equal(await ask(guests[0]!, gateway, 22), 'refused');
    assert.equal(await ask(guests[0]!, uplinkAddress, 22), 'refused');
  });

  test('nobody outside reaches a Pod or its resolver', async () => {
    await world.ip(`route add 10.0.0.0/8 via ${uplinkAddress}`);
    assert.equal(await ask(world, addresses[0]!, 80, silenceMs), 'timeout');
    assert.equal(await ask(world, lab.network.hostAddress(), 53, silenceMs), 'timeout');
  });

  test('a Pod resolves Pod names and the API server', async () => {
    const script = (name: string) => resolving(name, lab.network.hostAddress());
    const dashed = addresses[1]!.replaceAll('.', '-');
    assert.equal(await guests[0]!.node(script(`${dashed}.default.pod.cluster.local`)), addresses[1]);
    assert.equal(await guests[0]!.node(script(`${dashed}.other.pod.cluster.local`)), 'ENOTFOUND');
    assert.equal(await guests[0]!.node(script('kubernetes.default.svc.cluster.local')), lab.network.hostAddress());
  });

  test('a Pod in a network namespace of the host has a configured eth0, and may not forge', async () => {
    await using pod = await newNamespace();
    const netnsPath = `/proc/${pod.pid}/ns/net`;
    const request = { ...requestOf('namespace'), netnsPath };
    const attachment = await lab.network.attach(request);
    assert.equal(attachment.tapName, undefined);
    assert.equal(attachment.netnsPath, netnsPath);
    assert.equal(await ask(pod, addresses[1]!, 80), `hello ${attachment.ipv4.address}`);
    assert.equal(await ask(pod, worldAddress, 8080), `hello ${uplinkAddress}`);
    await pod.ip('address flush dev eth0');
    assert.deepEqual(await lab.network.attach(request), attachment);
    assert.equal(await ask(pod, addresses[1]!, 80), `hello ${attachment.ipv4.address}`);
    await pod.ip(`address replace ${addresses[0]}/16 dev eth0`);
    await pod.ip(`route replace default via ${attachment.ipv4.gateway} src ${addresses[0]}`);
    await pod.ip(`address del ${attachment.ipv4.address}/16 dev eth0`);
    assert.notEqual(await ask(pod, addresses[1]!, 80, silenceMs), `hello ${addresses[0]}`);
    await lab.network.detach('namespace');
    await assert.rejects(pod.ip('link show dev eth0'));
  });

  test('a port of the host leads to a Pod, from outside, from the host and from other Pods, until the Pod goes', async () => {
    const portMappings: PortMapping[] = [
      { protocol: 'tcp', hostPort: 9090, containerPort: 80 },
      { protocol: 'tcp', hostPort: 9091, containerPort: 80, hostIp: '127.0.0.1' },
    ];
    await using pod = await newNamespace();
    await using _ = await newGreeter(pod.pid, 80);
    const netnsPath = `/proc/${pod.pid}/ns/net`;
    await lab.network.attach({ ...requestOf('ports'), netnsPath, portMappings });
    const here = async (host: string, port: number) =>
      (await run(process.execPath, ['--input-type=module', '-e', tcpGreeting(host, port)])).stdout.trim();
    assert.equal(await ask(world, uplinkAddress, 9090), `hello ${worldAddress}`);
    assert.match(await ask(guests[0]!, uplinkAddress, 9090), /^hello /);
    assert.match(await here('127.0.0.1', 9090), /^hello /);
    assert.match(await here('127.0.0.1', 9091), /^hello /);
    assert.equal(await ask(world, uplinkAddress, 9091), 'refused');
    const again = await lab.restarted();
    await lab.network.close();
    await again.start();
    assert.equal(await ask(world, uplinkAddress, 9090), `hello ${worldAddress}`);
    await again.detach('ports');
    assert.equal(await ask(world, uplinkAddress, 9090), 'refused');
    await again.close();
    await lab.network.start();
  });

  test('a port of the host that is taken is refused by name, by whoever has it', async () => {
    const attach = (id: string, hostPort: number, hostIp?: string) =>
      lab.network.attach({ ...requestOf(id), portMappings: [{ protocol: 'tcp', hostPort, containerPort: 1, hostIp }] });
    await attach('first', 7070, '127.0.0.1');
    for (const [port, ip] of [
      [7070, undefined],
      [7070, '127.0.0.1'],
      [6443, undefined],
    ] as const)
      await assert.rejects(
        attach('second', port, ip),
        (error) => isReason(error, 'AlreadyExists') && error.message.includes(`${port}/tcp`),
      );
    assert.ok(!(await lab.network.list()).some((one) => one.sandboxId === 'second'));
    await attach('second', 7070, uplinkAddress);
    await lab.network.detach('first');
    await lab.network.detach('second');
    await attach('third', 7070);
    await lab.network.detach('third');
  });

  test('a Pod that takes the address of another is not heard', async () => {
    const thief = await lab.network.attach(requestOf('thief'));
    await using guest = await newGuest(thief);
    assert.equal(await ask(guest, addresses[1]!, 80), `hello ${thief.ipv4.address}`);
    const move = async (from: string, to: string) => {
      await guest.ip(`address del ${from}/16 dev eth0`);
      await guest.ip(`address add ${to}/16 dev eth0`);
      await guest.ip(`route replace default via ${thief.ipv4.gateway}`);
    };
    await move(thief.ipv4.address, addresses[0]!);
    assert.notEqual(await ask(guest, addresses[1]!, 80, silenceMs), `hello ${addresses[0]}`);
    await move(addresses[0]!, thief.ipv4.address);
    assert.equal(await ask(guest, addresses[1]!, 80), `hello ${thief.ipv4.address}`);
    await guest.ip('link set dev eth0 address 02:aa:aa:aa:aa:aa');
    assert.notEqual(await ask(guest, addresses[1]!, 80, silenceMs), `hello ${thief.ipv4.address}`);
  });

  test('running Pods keep their connections over a restart of the server', async () => {
    const again = await lab.restarted();
    await lab.network.close();
    await again.start();
    assert.equal(await ask(guests[0]!, addresses[1]!, 80), `hello ${addresses[0]}`);
    assert.equal(await ask(guests[0]!, worldAddress, 8080), `hello ${uplinkAddress}`);
    await again.close();
    await lab.network.start();
  });
}
