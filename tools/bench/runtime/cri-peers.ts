/** The CRI servers that `bench runtime` compares: ours with both handlers, and containerd's plugin with runc. Each in a laboratory of its own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { command } from '../../../platform/test/integration/support/command.ts';
import { criPluginLines } from '../../../platform/test/integration/support/containerd-cri-config.ts';
import { ContainerdLab } from '../../../platform/test/integration/support/containerd-lab.ts';
import { type CriClient, CriLab, clientOf } from '../../../platform/test/integration/support/cri-lab.ts';
import { pauseArchive, pauseImage } from '../../../platform/test/integration/support/pause-image.ts';
import { registryNames } from '../../critest/registries.ts';

export interface CriPeer {
  name: string;
  client: CriClient;
  socket: string;
  runtimeHandler: string;
  /** Directory whose instances' processes are this peer's. */
  home: string;
}

export interface CriPeers extends AsyncDisposable {
  list: CriPeer[];
}

/** A table of runtimes replaces containerd's own. */
const runcLines = [
  '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]',
  'runtime_type = "io.containerd.runc.v2"',
];
const bridge = `sambch${process.pid % 10_000}`;

/** What cannot be had here is left out, with a word to `progress`. */
export async function openCriPeers(progress: (text: string) => void): Promise<CriPeers> {
  const cleanUp = new AsyncDisposableStack();
  const list: CriPeer[] = [];
  try {
    const pool = process.env.SAMPAN_POOL;
    const environment = {
      SAMPAN_INSECURE_REGISTRIES: registryNames.join(','),
      SAMPAN_POOL: pool,
      SAMPAN_LOG_LEVEL: 'info',
    };
    const { client, socketPath: socket, home } = cleanUp.use(await CriLab.open('bench-cri', environment));
    for (const runtimeHandler of ['vm', 'namespace'])
      list.push({ name: `sampan ${runtimeHandler}`, client, socket, runtimeHandler, home });
    await openContainerd(cleanUp).then(
      (peer) => list.push(peer),
      (error) => progress(`containerd's CRI plugin is left out: ${error.message}`),
    );
  } catch (error) {
    await cleanUp.disposeAsync();
    throw error;
  }
  return { list, [Symbol.asyncDispose]: () => cleanUp.disposeAsync() };
}

async function openContainerd(cleanUp: AsyncDisposableStack): Promise<CriPeer> {
  const lab = await ContainerdLab.start();
  cleanUp.defer(async () => {
    await lab.stop();
    await command('ip', ['link', 'delete', bridge]);
  });
  await lab.ctr(['-n', 'k8s.io', 'image', 'import', await pauseArchive(lab.home)]);
  const [cni, registries] = [join(lab.home, 'cni'), join(lab.home, 'certs.d')];
  await mkdir(cni);
  const ranges = [[{ subnet: `10.${200 + (process.pid % 20)}.${process.pid % 250}.0/24` }]];
  const ipam = { type: 'host-local', ranges, dataDir: join(cni, 'leases') };
  const plugins = [{ type: 'bridge', bridge, isGateway: true, ipam }];
  await writeFile(join(cni, '10-bench.conflist'), JSON.stringify({ cniVersion: '0.4.0', name: 'bench', plugins }));
  for (const host of registryNames) {
    await mkdir(join(registries, host), { recursive: true });
    const lines = [`server = "https://${host}"`, `[host."https://${host}"]`, '  skip_verify = true'];
    await writeFile(join(registries, host, 'hosts.toml'), lines.join('\n'));
  }
  await lab.killContainerd();
  const [plugin, ...others] = criPluginLines({ major: 1, cni, pauseImage, registries });
  // runc gives up where it may not lower its own chance of being killed for memory.
  const lines = [`${plugin}\n  restrict_oom_score_adj = true`, ...others];
  await lab.startContainerd([...lines, ...(lines.some((line) => line.includes('runtimes.runc]')) ? [] : runcLines)]);
  const channel = new Client(`unix:${lab.socket}`, credentials.createInsecure());
  cleanUp.defer(() => channel.close());
  return {
    name: 'containerd, runc',
    client: clientOf(channel),
    socket: lab.socket,
    runtimeHandler: 'runc',
    home: lab.home,
  };
}
