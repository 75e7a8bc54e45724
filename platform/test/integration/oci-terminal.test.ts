/** Terminals of real machines that a client of the OCI command line takes by --console-socket, and closes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { FaultyOci } from './support/faulty-oci.ts';
import { missingForPodman } from './support/podman-lab.ts';
import { until } from './support/wait.ts';

const python = '/usr/bin/python3';
const missing = missingForPodman() ?? (existsSync(python) ? undefined : `${python} is missing`);
const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
const mounts = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
  { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['newinstance', 'ptmxmode=0666'] },
];

interface Client {
  child: ChildProcess;
  path: string;
  said: string;
}

describe('a terminal by --console-socket', { skip: missing }, () => {
  let faulty: FaultyOci;
  before(async () => {
    faulty = await FaultyOci.open('terminal');
  });
  afterEach(() => faulty.clear());
  after(() => faulty?.[Symbol.asyncDispose]());

  async function client(id: string): Promise<Client> {
    const path = join(faulty.home, `${id}.sock`);
    const script = join(import.meta.dirname, '../clients/oci/console.py');
    const child = spawn(python, [script, path, '80', '24'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const client = { child, path, said: '' };
    child.stdout.on('data', (data) => (client.said += data));
    await until('it listens', async () => client.said.includes('listening'));
    return client;
  }

  async function answers(client: Client): Promise<void> {
    client.child.stdin!.write('echo $((40 + 2))\n');
    await until(`a shell answers at ${client.path}`, async () => /^42\r/m.test(client.said));
  }

  const status = async (id: string) => JSON.parse((await faulty.call(['state', id])).stdout).status;

  for (const handler of ['namespace', 'vm'])
    it(`${handler}: who closes it ends the shell that was on it, an exec's and the container's own`, async () => {
      const id = `shell-${handler}`;
      const bundle = join(faulty.home, id);
      await mkdir(bundle, { recursive: true });
      const process = { args: ['/bin/sh'], env: ['PATH=/bin'], cwd: '/', terminal: true };
      const root = { path: join(faulty.home, 'rootfs') };
      const annotations = { 'sampan.dev/handler': handler };
      const config = { ociVersion: '1.0.2', process, root, mounts, linux: { namespaces }, annotations };
      await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
      const own = await client(id);
      const created = await faulty.call(['create', '--bundle', bundle, '--console-socket', own.path, id]);
      assert.equal(created.code, 0, created.stderr);
      assert.equal((await faulty.call(['start', id])).code, 0);
      await answers(own);

      const exec = await client(`${id}-exec`);
      const words = ['exec', '--detach', '--tty', '--console-socket', exec.path, id, '/bin/sh', '-c'];
      assert.equal((await faulty.call([...words, 'trap "" HUP; /bin/sh; exit 0'])).code, 0);
      await answers(exec);
      const processes = async () => JSON.parse((await faulty.call(['ps', '--format', 'json', id])).stdout).length;
      assert.ok((await processes()) >= 2);
      exec.child.kill('SIGKILL');
      await until('the other shells have ended', async () => (await processes()) === 1);
      assert.equal(await status(id), 'running');

      own.child.kill('SIGKILL');
      await until('the shell has ended', async () => (await status(id)) === 'stopped');
      assert.equal((await faulty.call(['delete', id])).code, 0);
      await faulty.forgetFiles(id);
    });
});
