/** containerd's own CRI plugin runs a Pod through our shim: one VM for the Pod, its network from CNI. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { NamespaceMode } from '../../src/runtime/generated/cri.ts';
import { ContainerdLab, image } from './support/containerd-lab.ts';
import { clientOf } from './support/cri-lab.ts';
import { demoArchive } from './support/demo-image.ts';
import { command } from './support/instance.ts';
import { until } from './support/wait.ts';

const bridge = `samcri${process.pid % 10_000}`;
const subnet = `10.${200 + (process.pid % 50)}.${process.pid % 250}`;
const ownPids = { securityContext: { namespaceOptions: { pid: NamespaceMode.CONTAINER } } };
let lab: ContainerdLab;

before(async () => {
  lab = await ContainerdLab.start();
  await lab.ctr(['-n', 'k8s.io', 'image', 'import', await demoArchive()]);
  await lab.ctr(['-n', 'k8s.io', 'image', 'import', await pauseArchive(lab.home)]);
  await writeNetwork(join(lab.home, 'cni'));
  await lab.killContainerd();
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  await lab.startContainerd([
    `[${cri}]\n  sandbox_image = "localhost/pause:1"\n  disable_apparmor = true`,
    `[${cri}.cni]\n  bin_dir = "/usr/lib/cni"\n  conf_dir = "${join(lab.home, 'cni')}"`,
    `[${cri}.containerd]\n  default_runtime_name = "sampan"`,
    `[${cri}.containerd.runtimes.sampan]\n  runtime_type = "io.containerd.sampan.v2"`,
  ]);
});
after(async () => {
  await lab?.stop();
  await command('ip', ['link', 'delete', bridge]);
});

/** The demo image with a command that waits. */
async function pauseArchive(home: string): Promise<string> {
  const directory = await mkdtemp(join(home, 'pause-'));
  await command('tar', ['-C', directory, '-xf', await demoArchive()]);
  const edit = async (name: string, from: string, to: string) => {
    const path = join(directory, name);
    const text = await readFile(path, 'utf8');
    assert.ok(text.includes(from), `${name} has no ${from}`);
    await writeFile(path, text.replace(from, to));
  };
  await edit('config.json', '"Cmd":["sh"]', '"Cmd":["sleep","1000000"]');
  await edit('manifest.json', '"localhost/demo:1","localhost/demo:latest"', '"localhost/pause:1"');
  const archive = join(home, 'pause.tar');
  await command('tar', ['-C', directory, '-cf', archive, '.']);
  await rm(directory, { recursive: true });
  return archive;
}

async function writeNetwork(directory: string): Promise<void> {
  await mkdir(directory);
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: `${subnet}.0/24` }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: join(directory, 'leases'),
  };
  const plugins = [{ type: 'bridge', bridge, isGateway: true, ipMasq: false, ipam }];
  await writeFile(join(directory, '10-test.conflist'), JSON.stringify({ cniVersion: '0.4.0', name: 'test', plugins }));
}

test('a Pod of the CRI plugin runs in one VM, is reached by exec, has its CNI address, writes its log, and goes without a trace', async () => {
  const channel = new Client(`unix:${lab.socket}`, credentials.createInsecure());
  const cri = clientOf(channel);
  try {
    const logDirectory = join(lab.home, 'logs');
    await mkdir(logDirectory);
    const metadata = { name: 'pod', uid: 'uid', namespace: 'default', attempt: 0 };
    const config = { metadata, hostname: 'in-a-vm', logDirectory, linux: ownPids };
    const { podSandboxId } = await cri.runPodSandbox({ config, runtimeHandler: 'sampan' });
    const { status } = await cri.podSandboxStatus({ podSandboxId });
    assert.ok(status?.network?.ip?.startsWith(`${subnet}.`), JSON.stringify(status?.network));
    const { containerId } = await cri.createContainer({
      podSandboxId,
      sandboxConfig: config,
      config: {
        metadata: { name: 'main', attempt: 0 },
        image: { image },
        command: ['sh', '-c', `ping -c 1 -W 5 ${subnet}.1; ip -o addr show eth0; echo done; sleep 1000`],
        logPath: 'main.log',
        linux: ownPids,
      },
    });
    await cri.startContainer({ containerId });
    assert.equal(lab.machines().length, 1, 'one machine for sandbox and container');
    const said = await cri.execSync({ containerId, cmd: ['hostname'], timeout: 20n });
    assert.equal(Buffer.from(said.stdout ?? []).toString(), 'in-a-vm\n');
    const log = () => readFile(join(logDirectory, 'main.log'), 'utf8');
    await until('the container has spoken', async () => (await log()).includes('stdout F done'));
    assert.match(await log(), /1 packets received/);
    assert.ok((await log()).includes(`inet ${status?.network?.ip}/24`));

    await cri.stopContainer({ containerId, timeout: 1n });
    assert.equal((await cri.containerStatus({ containerId })).status?.exitCode, 137);
    await cri.removeContainer({ containerId });
    await cri.stopPodSandbox({ podSandboxId });
    await cri.removePodSandbox({ podSandboxId });
    assert.deepEqual(lab.machines(), []);
  } finally {
    channel.close();
  }
});
