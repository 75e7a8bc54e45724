/**
 * The network mode macvlan on a real kernel: Pods with addresses of their own on the wire of a device, inside network and mount namespaces of
 * this test's own. The wire is a veth whose other end is in a neighbour's namespace.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../src/base/child.ts';
import { type Logger, silentLogger } from '../../src/base/log.ts';
import { createBridgeNetwork } from '../../src/network/bridge/bridge-network.ts';
import { parseMacvlan } from '../../src/network/macvlan/macvlan-config.ts';
import { withMacvlan } from '../../src/network/macvlan/with-macvlan.ts';
import type { Network } from '../../src/network/network.ts';
import { requestOf } from '../../src/network/network-suite.ts';
import { pluginDirectory } from './cni-lab.ts';
import { type Namespace, newGreeter, newNamespace, silenceMs, tcpGreeting } from './network-lab.ts';
import { missingParts, RuntimeLab } from './runtime-lab.ts';
import { testInside } from './support/own-namespaces.ts';

const wire = 'wire0';
const neighbourAddress = '192.168.7.1';
const macvlan = parseMacvlan(`${wire},192.168.7.100-192.168.7.103/24,${neighbourAddress}`);
const pluginDirectories = [pluginDirectory];

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  if (!existsSync(join(pluginDirectory, 'macvlan'))) return 'needs containernetworking-plugins';
  const tried = spawnSync('unshare', ['--net', 'ip', 'link', 'add', 'mv0', 'link', 'lo', 'type', 'macvlan']);
  // On lo it is refused, but by a kernel that knows the kind.
  if (/Unknown device type|not supported/i.test(String(tried.stderr))) return 'this kernel has no macvlan';
  return undefined;
}

testInside(
  'the network mode macvlan, inside a network namespace of its own',
  { file: import.meta.filename, namespaces: ['net', 'mount'], timeoutMs: 300_000, obstacle },
  () => {
    test('Pods on a wire reach each other and their neighbour, and only so many as there are addresses', pairTest);
    test(
      'a Pod of the handler namespace has its address there; one in a VM is refused',
      { skip: missingParts() },
      podTest,
    );
  },
);

/** The neighbour on the wire; the host's end has no address, as a device that Pods have to themselves. */
async function newNeighbour(): Promise<Namespace> {
  const neighbour = await newNamespace();
  await run('ip', 'link set dev lo up'.split(' '));
  await run('ip', 'address replace 192.0.2.1/24 dev lo'.split(' '));
  await run('ip', `link add ${wire} type veth peer name eth0 netns ${neighbour.pid}`.split(' '));
  await run('ip', `link set ${wire} up`.split(' '));
  await neighbour.ip(`address add ${neighbourAddress}/24 dev eth0`);
  await neighbour.ip('link set eth0 up');
  return {
    ...neighbour,
    [Symbol.asyncDispose]: async () => {
      // It would go with the namespace, but only a moment later.
      await run('ip', `link delete dev ${wire}`.split(' '));
      await neighbour[Symbol.asyncDispose]();
    },
  };
}

const withWire = async (directory: string, log: Logger = silentLogger, named = true): Promise<Network> => {
  const main = await createBridgeNetwork({ run: directory, tag: 'mvtest', log });
  return withMacvlan(main, { run: directory, log, pluginDirectories, macvlan: named ? macvlan : undefined });
};

async function pairTest(t: TestContext): Promise<void> {
  await using neighbour = await newNeighbour();
  const directory = await mkdtemp(join(tmpdir(), 'sampan-macvlan-'));
  const network = await withWire(directory);
  t.after(() => network.close());
  await network.start();
  await using a = await newNamespace();
  await using b = await newNamespace();
  const of = (one: Namespace) => ({ netnsPath: `/proc/${one.pid}/ns/net`, mode: 'macvlan' as const });
  const [first, second] = [
    await network.attach({ ...requestOf('a'), ...of(a) }),
    await network.attach({ ...requestOf('b'), ...of(b) }),
  ];
  assert.deepEqual(
    [first.ipv4, second.ipv4.address],
    [{ address: '192.168.7.100', prefixLength: 24, gateway: neighbourAddress }, '192.168.7.101'],
  );
  assert.deepEqual(await network.attach({ ...requestOf('a'), ...of(a) }), first, 'the same again');
  await using _ = await newGreeter(b.pid, 80);
  for (const from of [a, neighbour])
    assert.match(await from.node(tcpGreeting('192.168.7.101', 80)), /^hello 192\.168\.7\./);
  await using __ = await newGreeter(neighbour.pid, 81);
  assert.equal(await a.node(tcpGreeting(neighbourAddress, 81)), 'hello 192.168.7.100');
  // The host is on another wire: the kernel keeps a parent and its macvlans apart.
  const { stdout } = await run(process.execPath, [
    '--input-type=module',
    '-e',
    tcpGreeting('192.168.7.101', 80, silenceMs),
  ]);
  assert.notEqual(stdout.trim().slice(0, 5), 'hello');

  await assert.rejects(network.attach({ ...requestOf('vm'), mode: 'macvlan' }), { reason: 'Unsupported' });
  for (const name of ['c', 'd']) {
    const one = await newNamespace();
    await network.attach({ ...requestOf(name), ...of(one) });
    await network.detach(name);
    await one[Symbol.asyncDispose]();
  }
  await network.close();
  // A server that was started without the option still lets go of what is there, and gives no more.
  const next = await withWire(directory, silentLogger, false);
  t.after(() => next.close());
  await next.start();
  assert.deepEqual((await next.list()).map(({ sandboxId }) => sandboxId).sort(), ['a', 'b']);
  await assert.rejects(next.attach({ ...requestOf('e'), ...of(a) }), {
    reason: 'Unsupported',
    message: /--macvlan PARENT/,
  });
  for (const name of ['a', 'b']) await next.detach(name);
  await assert.rejects(a.ip('link show dev eth0'));
  assert.deepEqual(
    (await readdir(join(directory, 'macvlan/addresses/sampan-macvlan'))).filter((name) => name.startsWith('192')),
    [],
  );
  await next.teardown();
  assert.equal(existsSync(join(directory, 'macvlan')), false);
  await rm(directory, { recursive: true });
}

async function podTest(): Promise<void> {
  await using neighbour = await newNeighbour();
  const annotations = { 'sampan.dev/network-mode': 'macvlan' };
  {
    await using lab = await RuntimeLab.open({
      handler: 'namespace',
      network: async (directory, log) => withWire(directory, log),
    });
    const sandbox = await lab.sandbox('wired', { annotations });
    await lab.started(sandbox, 'mkdir /tmp/www; echo wired > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www');
    const { network } = (await lab.runtime.podSandboxStatus({ podSandboxId: sandbox })).status!;
    assert.equal(network!.ip, '192.168.7.100');
    const script = `for (;;) try { console.log(await (await fetch('http://192.168.7.100/')).text()); break } catch {}`;
    assert.equal(await neighbour.node(script), 'wired');
    await assert.rejects(
      lab.runtime.runPodSandbox({ config: lab.sandboxConfig('vm', { annotations }), runtimeHandler: 'vm' }),
      { reason: 'Unsupported', message: /network mode macvlan/ },
    );
    await lab.runtime.removePodSandbox({ podSandboxId: sandbox });
    assert.deepEqual(await lab.traces(), []);
  }
}
