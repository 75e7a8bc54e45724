/**
 * The cni driver with Debian's plugins (bridge, host-local, portmap, firewall, bandwidth) on a real kernel. Runs itself again inside network
 * and mount namespaces of its own, so that the host's rules are never touched and nothing can be left behind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { run } from '../../src/base/child.ts';
import { createCniNetwork } from '../../src/network/cni/cni-network.ts';
import { joinNetns } from '../../src/network/cni/join-netns.ts';
import { networkSuite, requestOf } from '../../src/network/network-suite.ts';
import { type CniLab, missingForCni, newCniLab, pluginDirectory } from './cni-lab.ts';
import {
  type Namespace,
  newGreeter,
  newGuest,
  newNamespace,
  newWorld,
  tcpGreeting,
  uplinkAddress,
  worldAddress,
} from './network-lab.ts';
import { missingParts, RuntimeLab } from './runtime-lab.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance } from './support/instance.ts';
import { testInside } from './support/own-namespaces.ts';
import { missingForPodman, PodmanLab } from './support/podman-lab.ts';
import { createPod, demoImage, isReady, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';

testInside(
  'the cni driver, inside a network namespace of its own',
  {
    file: import.meta.filename,
    namespaces: ['net', 'mount'],
    timeoutMs: 500_000,
    obstacle: missingForCni,
    tells: /^.*(ms|Mbit).*$/gm,
  },
  insideNamespace,
);

const ask = (from: Namespace, host: string, port: number) => from.node(tcpGreeting(host, port));

async function askHere(host: string, port: number): Promise<string> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', tcpGreeting(host, port)]);
  return stdout.trim();
}

function insideNamespace(): void {
  networkSuite('cni', {
    ownsGateway: false,
    crowd: 8,
    make: async ({ capacity }) => {
      const range = capacity ? { subnet: '10.88.0.0/24', rangeStart: '10.88.0.2', rangeEnd: '10.88.0.6' } : undefined;
      const lab = await newCniLab({ range });
      return { ...lab, dispose: async () => lab[Symbol.asyncDispose]() };
    },
  });
  describe('attachments by CNI', attachmentTests);
  test('a machine whose network is a CNI chain', { skip: missingParts() }, machineTest);
  test("a machine joins the network that Podman's own CNI has made", { skip: missingForPodman() }, podmanTest);
  test(
    'sampan up --cni: a Pod on the network of plugins finds names and the API server, and is probed',
    {
      skip: missingParts(),
    },
    upTest,
  );
  test('sampan cri --cni, killed and started again', { skip: missingForCri() }, criTest);
}

function attachmentTests(): void {
  for (const way of ['tc', 'bridge'] as const)
    test(`machines behind taps that are joined by ${way} reach each other, and hear nothing that is not theirs`, async () => {
      await using lab = await newCniLab({ join: way });
      const attachments = [await lab.network.attach(requestOf('a')), await lab.network.attach(requestOf('b'))];
      const { code } = await run('nsenter', [`--net=${attachments[0]!.netnsPath}`, 'ip', 'link', 'show', 'tapbr0'], {
        okCodes: [0, 1],
      });
      assert.equal(code === 0, way === 'bridge', 'joined as asked');
      await using a = await newGuest(attachments[0]!);
      await using b = await newGuest(attachments[1]!);
      await using _ = await newGreeter(b.pid, 80, '::');
      assert.equal(await ask(a, attachments[1]!.ipv4.address, 80), `hello ${attachments[0]!.ipv4.address}`);
      assert.match(await ask(a, attachments[1]!.ipv6!.address, 80), /^hello fd88::/);
      assert.match(await askHere(attachments[1]!.ipv4.address, 80), /^hello 10\.88\.0\.1/);
    });

  test('the first Pod of a fresh bridge is reached over IPv6 from its first packet on', async () => {
    await using lab = await newCniLab({ asksForAddresses: true });
    const attachment = await lab.network.attach(requestOf('first'));
    await using guest = await newGuest(attachment);
    await using _ = await newGreeter(guest.pid, 80, '::');
    assert.equal(await askHere(attachment.ipv6!.address, 80), 'hello fd88::1');
  });

  test('a sandbox with a network namespace of its own gets its eth0 there, and it outlives detach', async () => {
    await using lab = await newCniLab();
    await using pod = await newNamespace();
    const netnsPath = `/proc/${pod.pid}/ns/net`;
    const attachment = await lab.network.attach({ ...requestOf('own'), netnsPath });
    assert.equal(attachment.tapName, undefined);
    await using _ = await newGreeter(pod.pid, 80);
    assert.match(await askHere(attachment.ipv4.address, 80), /^hello/);
    await lab.network.detach('own');
    await assert.rejects(pod.ip('link show dev eth0'));
    assert.deepEqual(await lab.leftovers(), []);
  });

  test('a namespace that ends before its sandbox is detached leaves nothing either', async () => {
    await using lab = await newCniLab();
    {
      await using pod = await newNamespace();
      await lab.network.attach({ ...requestOf('gone'), netnsPath: `/proc/${pod.pid}/ns/net` });
    }
    await lab.network.detach('gone');
    assert.deepEqual(await lab.leftovers(), []);
  });

  test('a machine takes the place of an interface that others have made', async () => {
    await using lab = await newCniLab();
    await using pod = await newNamespace();
    const netnsPath = `/proc/${pod.pid}/ns/net`;
    const made = await lab.network.attach({ ...requestOf('theirs'), netnsPath });
    await pod.ip('route add 10.77.0.0/16 via 10.88.0.1');
    const joined = await joinNetns('machine', netnsPath);
    assert.deepEqual(await joinNetns('machine', netnsPath), joined);
    assert.deepEqual(
      [joined.ipv4, joined.ipv6, joined.mac, joined.mtu],
      [made.ipv4, made.ipv6, made.mac, made.mtu],
      'as it is found there',
    );
    assert.deepEqual(joined.routes, [{ destination: '10.77.0.0/16', gateway: '10.88.0.1' }]);
    await using guest = await newGuest(joined);
    await using _ = await newGreeter(guest.pid, 80);
    assert.match(await askHere(joined.ipv4.address, 80), /^hello/);
    await using nothing = await newNamespace();
    await assert.rejects(joinNetns('machine', `/proc/${nothing.pid}/ns/net`), /no network interface/);
    // As containerd does: before the namespace goes, for bridge finds its rules by what is in it.
    await lab.network.detach('theirs');
    assert.deepEqual(await lab.leftovers(), []);
  });

  test('detach leaves no device, no rule, no address, no namespace', async () => {
    await using lab = await newCniLab();
    const portMappings = [{ protocol: 'tcp' as const, hostPort: 9090, containerPort: 80 }];
    const annotations = { 'kubernetes.io/ingress-bandwidth': '4M', 'kubernetes.io/egress-bandwidth': '4M' };
    await lab.network.attach({ ...requestOf('a'), portMappings, annotations });
    assert.ok((await lab.leftovers()).length >= 6, 'the test sees what there is');
    await lab.network.detach('a');
    assert.deepEqual(await lab.leftovers(), []);
  });

  test('a server that is killed between ADD and its record leaves nothing that the next one does not find', async () => {
    await using lab = await newCniLab();
    const plugins = join(lab.home, 'bin');
    await mkdir(plugins);
    await writeFile(
      join(plugins, 'killer'),
      '#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = ADD ] && kill -9 $PPID\nexit 0\n',
    );
    await chmod(join(plugins, 'killer'), 0o755);
    await using deadly = await newCniLab({ more: [{ type: 'killer' }], pluginDirectories: [pluginDirectory, plugins] });
    const victim = spawn(
      process.execPath,
      [
        join(import.meta.dirname, 'cni-victim.ts'),
        JSON.stringify({ ...deadly.options, log: undefined, sandboxId: 'victim' }),
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const [, signal] = await once(victim, 'exit');
    assert.equal(signal, 'SIGKILL');
    assert.ok((await deadly.leftovers()).length >= 4, 'it was killed half-way');
    const next = await deadly.restarted();
    await next.start();
    assert.deepEqual(await next.list(), []);
    assert.deepEqual(await deadly.leftovers(), []);
  });

  test('what no plugin of the chain can do is refused by name, and so is a port that is taken', async () => {
    await using lab = await newCniLab();
    const config = join(lab.home, 'plain.d');
    await mkdir(config);
    await writeFile(
      join(config, '10.conf'),
      JSON.stringify({
        cniVersion: '0.3.1',
        name: 'plain',
        type: 'bridge',
        bridge: 'cni-plain',
        ipam: { type: 'host-local', subnet: '10.89.0.0/24', dataDir: join(lab.home, 'ipam') },
      }),
    );
    const plain = await createCniNetwork({ ...lab.options, run: join(lab.home, 'plain'), configDirectory: config });
    await plain.start();
    const portMappings = [{ protocol: 'tcp' as const, hostPort: 9090, containerPort: 80 }];
    await assert.rejects(plain.attach({ ...requestOf('a'), portMappings }), /portMappings.*plain/);
    assert.equal((await plain.attach(requestOf('a'))).ipv4.gateway, undefined, 'no default route was asked for');
    await plain.detach('a');
    await plain.teardown();
    await run('ip', ['link', 'delete', 'dev', 'cni-plain']);
    await lab.network.attach({ ...requestOf('first'), portMappings });
    await assert.rejects(lab.network.attach({ ...requestOf('second'), portMappings }), (error) =>
      isReason(error, 'AlreadyExists'),
    );
    assert.equal((await lab.network.list()).length, 1);
  });
}

async function machineTest(t: { diagnostic(text: string): void }): Promise<void> {
  await using world = await newWorld();
  await using _ = await newGreeter(world.pid, 8080);
  await using lab = await newCniLab();
  await lab.network.close();
  await using pods = await RuntimeLab.open({
    network: async (directory, log) => createCniNetwork({ ...lab.options, run: directory, log }),
  });
  const begin = performance.now();
  const sandbox = await pods.sandbox('web', {
    portMappings: [{ protocol: 0, containerPort: 80, hostPort: 9090 }],
    annotations: { 'kubernetes.io/ingress-bandwidth': '4M', 'sampan.dev/images': JSON.stringify([pods.imageId]) },
  });
  const container = await pods.started(
    sandbox,
    'mkdir /tmp/www; echo hello-from-the-pod > /tmp/www/index.html; httpd -p 80 -h /tmp/www; echo ready; exec sleep 1000',
  );
  await until('it is ready', async () => (await pods.log('web')).some((line) => line.includes('ready')));
  t.diagnostic(`ready after ${Math.round(performance.now() - begin)} ms`);
  const { network } = (await pods.runtime.podSandboxStatus({ podSandboxId: sandbox })).status!;
  const six = network!.additionalIps![0]!.ip!;
  const fetched = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(60_000) })).text();
  for (const host of [network!.ip!, `[${six}]`, '127.0.0.1:9090', `${uplinkAddress}:9090`])
    assert.equal(await fetched(`http://${host}/`), 'hello-from-the-pod\n', host);
  const fromWorld = `console.log(await (await fetch('http://${uplinkAddress}:9090/')).text())`;
  assert.equal(await world.node(fromWorld), 'hello-from-the-pod');
  assert.match(await pods.exec(container, `nc -w 5 ${worldAddress} 8080 </dev/null`), /hello 198\.51\.100\.1/);
  await using __ = await newGreeter(undefined, 7070);
  assert.match(await pods.exec(container, 'nc -w 5 10.88.0.1 7070 </dev/null'), new RegExp(`hello ${network!.ip}`));
  const conf = await pods.exec(container, 'cat /etc/resolv.conf');
  assert.deepEqual(conf.trim().split('\n'), ['search lab.example', 'nameserver 10.88.0.1', 'options ndots:2']);
  assert.match(await pods.exec(container, 'ip -6 route'), /default via fd88::1/);
  await slowly(pods, container, t);
  await pods.runtime.removePodSandbox({ podSandboxId: sandbox });
  assert.deepEqual(await lab.leftovers(), []);
  assert.deepEqual(await pods.traces(), []);
}

async function podmanTest(): Promise<void> {
  // Podman remembers addresses on the host, whatever directories it is given. This mount namespace is ours.
  await mkdir('/var/lib/cni', { recursive: true });
  await run('mount', ['-t', 'tmpfs', 'none', '/var/lib/cni']);
  await using lab = await PodmanLab.open('podman-cni');
  await using _ = await newGreeter(undefined, 7072);
  const script = 'ip -4 addr show dev eth0; nc -w 5 10.88.0.1 7072 </dev/null';
  const flags = ['--rm', '--ulimit', 'host', '--network', 'podman'];
  const result = await lab.podman(['run', ...flags, demoImage, 'sh', '-c', script]);
  assert.equal(result.code, 0, result.stderr);
  const address = /inet (10\.88\.\d+\.\d+)\/16/.exec(result.stdout)?.[1];
  assert.ok(result.stdout.includes(`hello ${address}`), result.stdout);
  // Podman keeps its bridge; the next test's has the same subnet.
  await run('ip', ['link', 'delete', 'cni-podman0']);
}

async function criTest(): Promise<void> {
  await using lab = await newCniLab();
  await lab.network.close();
  const served = await withEnvironment(lab, () => CriLab.open('cni'));
  await serveTwice(lab, served).finally(() => served[Symbol.asyncDispose]());
  assert.deepEqual(await lab.leftovers(), [], 'teardown found the rest');
}

/** As the command line sets it for the processes it starts. */
async function withEnvironment<T>(lab: CniLab, open: () => Promise<T>): Promise<T> {
  const { configDirectory, pluginDirectories = [] } = lab.options;
  const environment = {
    ...{ SAMPAN_NETWORK: 'cni', SAMPAN_CNI_CONF_DIR: configDirectory },
    ...{ SAMPAN_CNI_BIN_DIR: pluginDirectories.join(':'), SAMPAN_POOL: '0' },
  };
  Object.assign(process.env, environment);
  return open().finally(() => {
    for (const name of Object.keys(environment)) delete process.env[name];
  });
}

async function serveTwice(lab: CniLab, served: CriLab): Promise<void> {
  const podSandboxId = await served.sandbox('a');
  const address = async () => (await served.client.podSandboxStatus({ podSandboxId })).status!.network!;
  const before = await address();
  assert.match(before.ip!, /^10\.88\./);
  assert.match(before.additionalIps![0]!.ip!, /^fd88::/);
  await served.end('SIGKILL');
  await served.start();
  assert.deepEqual(await address(), before);
  await served.client.removePodSandbox({ podSandboxId });
  assert.deepEqual(await lab.leftovers(), []);
  // This one is for teardown to find.
  await served.sandbox('b');
  await served.end('SIGKILL');
  assert.ok((await lab.leftovers()).length > 0);
}

/** Names and the API server, which Pods find at a gateway of ours under the bridge, are at the host's own address. */
async function upTest(): Promise<void> {
  await using lab = await newCniLab();
  await lab.network.close();
  const instance = await withEnvironment(lab, () => startInstance('up-cni'));
  try {
    await loadDemoImage(instance);
    const script =
      'nslookup kubernetes.default.svc.cluster.local; nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached; mkdir /tmp/www; echo up > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www';
    const readinessProbe = { httpGet: { path: '/', port: 80 }, periodSeconds: 1 };
    const pod = shellPod('web', script);
    pod.spec!.containers[0]!.readinessProbe = readinessProbe;
    await createPod(instance.client, pod);
    const { status } = await isReady(instance.client, 'web');
    assert.match(status!.podIP!, /^10\.88\./);
    const log = (await instance.sampan(['logs', 'web'])).stdout;
    assert.match(log, new RegExp(`Address:\\s+${status!.hostIP!.replaceAll('.', '\\.')}`), log);
    assert.match(log, /^reached$/m);
    // Pods that are on one network cannot be looked after by a server on another.
    await instance.kill9();
    delete instance.env.SAMPAN_NETWORK;
    await assert.rejects(instance.start(), /attached to the other network/);
    instance.env.SAMPAN_NETWORK = 'cni';
    await instance.start();
  } finally {
    await instance.stop();
  }
  assert.deepEqual(await lab.leftovers(), []);
}

/** A mebibyte at 4 Mbit/s, less what may go at once. */
async function slowly(pods: RuntimeLab, container: string, t: { diagnostic(text: string): void }): Promise<void> {
  const script = `
import { createServer } from 'node:net';
createServer((socket) => { socket.on('error', () => {}); socket.end(Buffer.alloc(1 << 20)); }).listen({ host: '0.0.0.0', port: 7071 }, () => console.log('ready'));
process.stdin.resume().on('end', () => process.exit());`;
  const server = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(server.stdout!, 'data');
  const begin = performance.now();
  const got = await pods.exec(container, 'nc -w 20 10.88.0.1 7071 </dev/null | wc -c');
  const seconds = (performance.now() - begin) / 1000;
  server.stdin!.end();
  await once(server, 'exit');
  assert.equal(got.trim(), String(1 << 20));
  t.diagnostic(`1 MiB in ${seconds.toFixed(2)} s: ${((8 * 1.048576) / seconds).toFixed(1)} Mbit/s`);
  assert.ok(seconds > 1.2, `1 MiB took ${seconds} s at 4 Mbit/s`);
}
