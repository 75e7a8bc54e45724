/** What each containerd's own CRI plugin does with Pods through our shim: one machine a Pod, its network from CNI. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import {
  ContainerState,
  type LinuxContainerConfig,
  type LinuxPodSandboxConfig,
  NamespaceMode,
  type PodSandboxConfig,
  PodSandboxState,
} from '../../src/runtime/generated/cri.ts';
import { tcpGreeting } from './network-lab.ts';
import { command } from './support/command.ts';
import { criPluginLines } from './support/containerd-cri-config.ts';
import { ContainerdLab, type ContainerdPrograms, image } from './support/containerd-lab.ts';
import { type CriClient, clientOf } from './support/cri-lab.ts';
import { demoArchive } from './support/demo-image.ts';
import { pauseArchive, pauseImage } from './support/pause-image.ts';
import { until } from './support/wait.ts';

const buildMs = 590_000;
const bridge = `samcri${process.pid % 10_000}`;
const subnet = `10.${200 + (process.pid % 50)}.${process.pid % 250}`;
const subnet6 = `fd5a:${(process.pid % 65_536).toString(16)}::`;
const ownPids: LinuxPodSandboxConfig & LinuxContainerConfig = {
  securityContext: { namespaceOptions: { pid: NamespaceMode.CONTAINER } },
};

/** `handlers` are the runtimes of criPluginLines that each test is for. */
export function podTests(
  programs: () => Promise<{ programs?: ContainerdPrograms; missing?: string }>,
  handlers: string[],
): void {
  let lab: ContainerdLab;
  let missing: string | undefined;
  let plugin: string[];
  before(
    async () => {
      const found = await programs();
      missing = found.missing;
      if (!found.programs) return;
      lab = await ContainerdLab.start(found.programs);
      await lab.ctr(['-n', 'k8s.io', 'image', 'import', await demoArchive()]);
      await lab.ctr(['-n', 'k8s.io', 'image', 'import', await pauseArchive(lab.home)]);
      await writeNetwork(join(lab.home, 'cni'));
      await lab.killContainerd();
      plugin = criPluginLines({ major: found.programs.major, cni: join(lab.home, 'cni'), pauseImage });
      await lab.startContainerd(plugin);
    },
    { timeout: buildMs },
  );
  afterEach(() => lab?.removePods());
  after(async () => {
    await lab?.stop();
    await command('ip', ['link', 'delete', bridge]);
  });

  if (handlers.includes('sampan-namespace'))
    test("a Pod on the host's kernel has what it asks for of the host's namespaces, and shares its processes as it says", async (t) => {
      if (missing) return t.skip(missing);
      await withCri(lab, (cri) => podOfTheHost(lab, cri));
    });

  for (const runtimeHandler of handlers) {
    test(`a Pod of the runtime ${runtimeHandler} is one machine, is reached by exec, has its CNI address, writes its log, and goes without a trace`, async (t) => {
      if (missing) return t.skip(missing);
      await withCri(lab, (cri) => lifeOfPod(lab, cri, runtimeHandler));
    });
    test(`a Pod of the runtime ${runtimeHandler} outlives kill -9 of containerd and of our process`, async (t) => {
      if (missing) return t.skip(missing);
      const { podSandboxId, containerId, log } = await withCri(lab, (cri) =>
        startPod(lab, cri, runtimeHandler, 'i=0; while true; do i=$((i + 1)); echo $i; sleep 0.2; done'),
      );
      const counted = async () =>
        [...(await readFile(log, 'utf8')).matchAll(/stdout F (\d+)\n/g)].map(([, digits]) => Number(digits));
      await until('it counts', async () => (await counted()).length > 2);
      const machines = lab.machines();
      // One after the other: a containerd that starts gives up what does not answer in five seconds, and so may a slow machine's runtime.
      await lab.killService();
      await until('the runtime is there again', async () => lab.servicePids().length === 1);
      const soFar = (await counted()).length;
      await until('its log goes on', async () => (await counted()).length > soFar + 5);
      const numbers = [...new Set(await counted())];
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => index + 1),
        'a line is lost',
      );
      await withCri(lab, async (cri) => {
        const said = await cri.execSync({ containerId, cmd: ['echo', 'back'], timeout: 20n });
        assert.equal(Buffer.from(said.stdout ?? []).toString(), 'back\n');
      });
      await lab.killContainerd();
      await lab.startContainerd(plugin);
      await withCri(lab, async (cri) => {
        await until(
          'the container is known again',
          async () => {
            const { status } = await cri.containerStatus({ containerId });
            return status?.state === ContainerState.CONTAINER_RUNNING;
          },
          40_000,
        );
        assert.equal((await cri.podSandboxStatus({ podSandboxId })).status?.state, PodSandboxState.SANDBOX_READY);
        const said = await cri.execSync({ containerId, cmd: ['echo', 'still here'], timeout: 20n });
        assert.equal(Buffer.from(said.stdout ?? []).toString(), 'still here\n');
        assert.deepEqual(lab.machines(), machines);
        await removePod(cri, podSandboxId);
      });
      assert.deepEqual(lab.machines(), []);
    });
  }
}

/** As runc: hostNetwork, hostPID and hostIPC of a Pod's, and containers that share its processes. */
async function podOfTheHost(lab: ContainerdLab, cri: CriClient): Promise<void> {
  const { NODE, POD } = NamespaceMode;
  const own = (type: string) => readlink(`/proc/self/ns/${type}`);
  const looks = (types: string[]) => `for n in ${types.join(' ')}; do readlink /proc/self/ns/$n; done; sleep 1000`;
  const options = { network: NODE, pid: NODE, ipc: NODE };
  const host = await startPod(lab, cri, 'sampan-namespace', looks(['net', 'pid', 'ipc', 'uts']), {
    securityContext: { namespaceOptions: options },
  });
  const said = async (log: string) =>
    [...(await readFile(log, 'utf8')).matchAll(/stdout F (.*)\n/g)].map(([, line]) => line);
  await until('it has looked', async () => (await said(host.log)).length === 4);
  const [net, pid, ipc, uts] = await said(host.log);
  assert.deepEqual([net, pid, ipc], [await own('net'), await own('pid'), await own('ipc')]);
  assert.notEqual(uts, await own('uts'), 'its name is its own');
  await removePod(cri, host.podSandboxId);

  const shared = await startPod(lab, cri, 'sampan-namespace', 'cat /proc/1/cmdline; echo; sleep 1000', {
    securityContext: { namespaceOptions: { pid: POD } },
  });
  // Written to the same file.
  await until('it has looked', async () => (await said(shared.log)).length > 4);
  assert.match((await said(shared.log))[4] ?? '', /^tail/, 'its first process is the pause container');
  await removePod(cri, shared.podSandboxId);
  assert.deepEqual(lab.machines(), []);
}

async function withCri<T>(lab: ContainerdLab, work: (cri: CriClient) => Promise<T>): Promise<T> {
  const channel = new Client(`unix:${lab.socket}`, credentials.createInsecure());
  try {
    return await work(clientOf(channel));
  } finally {
    channel.close();
  }
}

async function startPod(lab: ContainerdLab, cri: CriClient, runtimeHandler: string, script: string, linux = ownPids) {
  const logDirectory = join(lab.home, 'logs', runtimeHandler);
  await mkdir(logDirectory, { recursive: true });
  const metadata = { name: 'pod', uid: 'uid', namespace: runtimeHandler, attempt: 0 };
  const dnsConfig = { servers: ['192.0.2.53'], searches: ['example.test'] };
  const config: PodSandboxConfig = { metadata, hostname: 'in-a-vm', logDirectory, dnsConfig, linux };
  const { podSandboxId } = await cri.runPodSandbox({ config, runtimeHandler });
  const { containerId } = await cri.createContainer({
    podSandboxId,
    sandboxConfig: config,
    config: {
      metadata: { name: 'main', attempt: 0 },
      image: { image },
      command: ['sh', '-c', script],
      logPath: 'main.log',
      linux,
    },
  });
  await cri.startContainer({ containerId });
  return { podSandboxId: podSandboxId!, containerId: containerId!, log: join(logDirectory, 'main.log'), config };
}

/** Its machines are processes of the host's own kernel. */
const isOnHost = (runtimeHandler: string): boolean => runtimeHandler.includes('namespace');

/** The plugin's network namespace with that address; containerd 2 does not tell which it is. */
async function netnsOf(address: string): Promise<string> {
  for (const name of await readdir('/run/netns')) {
    const { stdout } = await command('nsenter', [`--net=/run/netns/${name}`, 'ip', '-o', 'address']);
    if (stdout.includes(` ${address}/`)) return `/run/netns/${name}`;
  }
  throw new Error(`no network namespace has ${address}`);
}

/** What somebody says who listens on a port of the namespace's loopback. */
async function saidIn(netns: string, port: number): Promise<string> {
  const script = ['--input-type=module', '-e', tcpGreeting('127.0.0.1', port)];
  const { code, stdout, stderr } = await command('nsenter', [`--net=${netns}`, process.execPath, ...script]);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

async function removePod(cri: CriClient, podSandboxId: string): Promise<void> {
  await cri.stopPodSandbox({ podSandboxId });
  await cri.removePodSandbox({ podSandboxId });
}

async function lifeOfPod(lab: ContainerdLab, cri: CriClient, runtimeHandler: string): Promise<void> {
  const pings = `ping -c 1 -W 5 ${subnet}.1; ping -6 -c 1 -W 5 ${subnet6}1`;
  const serve = 'nc -ll -p 7070 -e echo from inside';
  const script = `${serve} & ${pings}; ip -o addr show eth0; cat /etc/resolv.conf; echo done; sleep 1000`;
  const { podSandboxId, containerId, log: logPath, config } = await startPod(lab, cri, runtimeHandler, script);
  const { status } = await cri.podSandboxStatus({ podSandboxId });
  assert.ok(status?.network?.ip?.startsWith(`${subnet}.`), JSON.stringify(status?.network));
  assert.equal(lab.machines().length, 1, 'one machine for sandbox and container');
  const containers = (await lab.ctr(['-n', 'k8s.io', 'container', 'ls', '-q'])).stdout.split('\n');
  assert.ok(containers.includes(containerId));
  assert.equal(
    containers.includes(podSandboxId),
    runtimeHandler !== 'sampan-pod',
    'whether there is a pause container',
  );
  const said = await cri.execSync({ containerId, cmd: ['hostname'], timeout: 20n });
  assert.equal(Buffer.from(said.stdout ?? []).toString(), 'in-a-vm\n');
  const log = () => readFile(logPath, 'utf8');
  await until('the container has spoken', async () => (await log()).includes('stdout F done'));
  assert.match(await log(), /1 packets received[\s\S]*1 packets received/);
  assert.ok((await log()).includes(`inet ${status?.network?.ip}/24`));
  const [six] = status?.network?.additionalIps ?? [];
  assert.ok(
    six?.ip?.startsWith(subnet6) && (await log()).includes(`inet6 ${six.ip}/64`),
    `${six?.ip} in ${await log()}`,
  );
  assert.match(await log(), /search example\.test\n.*nameserver 192\.0\.2\.53/);

  const netns = await netnsOf(status!.network!.ip!);
  // As the plugin does it to forward a port.
  assert.equal(await saidIn(netns, 7070), 'from inside');
  assert.equal(await saidIn(netns, 7071), 'refused');

  const before = lab.processes();
  const { containerId: second } = await cri.createContainer({
    podSandboxId,
    sandboxConfig: config,
    config: { metadata: { name: 'second', attempt: 0 }, image: { image }, command: ['sleep', '1000'], linux: ownPids },
  });
  await cri.startContainer({ containerId: second });
  const more = [...lab.processes()].filter(([pid]) => !before.has(pid)).map(([, line]) => line);
  if (!isOnHost(runtimeHandler)) assert.deepEqual(more, [], 'a second container is no process of the host');
  const { stats } = await cri.containerStats({ containerId });
  assert.ok((stats?.memory?.workingSetBytes?.value ?? 0n) > 0n, 'it has no memory');

  await cri.stopContainer({ containerId, timeout: 1n });
  assert.equal((await cri.containerStatus({ containerId })).status?.exitCode, 137);
  await cri.removeContainer({ containerId });
  await removePod(cri, podSandboxId);
  assert.deepEqual(lab.machines(), []);
}

async function writeNetwork(directory: string): Promise<void> {
  await mkdir(directory);
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: `${subnet}.0/24` }], [{ subnet: `${subnet6}/64` }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    dataDir: join(directory, 'leases'),
  };
  const plugins = [{ type: 'bridge', bridge, isGateway: true, ipMasq: false, ipam }];
  await writeFile(join(directory, '10-test.conflist'), JSON.stringify({ cniVersion: '0.4.0', name: 'test', plugins }));
}
