/**
 * The images Kubernetes' tests ask for, made here under the names they are asked for by: agnhost and nonewprivs are built from
 * Kubernetes' own sources, busybox is Debian's; httpd, nginx and pause are stand-ins that do what the tests look at, on busybox.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  appendFile,
  chmod,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../platform/src/base/child.ts';
import { testImageCache } from '../../platform/test/fixtures/images/build-image.ts';
import { addBusybox, unpackPackages } from '../../platform/test/fixtures/images/debian-root.ts';
import { type ArchiveImage, writeOciArchive } from '../../platform/test/fixtures/images/oci-archive.ts';
import { defaultPath } from '../../platform/test/fixtures/images/recipe.ts';
import { goProgram, kubernetesVersion } from './go-programs.ts';

const registry = 'registry.k8s.io/e2e-test-images';
const certificates = 'k8s.io/kubernetes/test/images/agnhost/porter';
/** The first process of a container gets no signal it has no handler for: the shell has one, busybox' server has not. */
const servedFrom = (directory: string): string[] => [
  'sh',
  '-c',
  `httpd -f -p 80 -h ${directory} & trap 'kill $!; exit 0' TERM INT; wait`,
];
const untilTold = ['sh', '-c', "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"];

/** What is in a layer, by its name. */
const layers: Record<string, (root: string) => Promise<void>> = {
  busybox: fillBusybox,
  agnhost: fillAgnhost,
  htdocs: (root) => addPage(join(root, 'usr/local/apache2/htdocs'), 'It works!'),
  nginx: (root) => addPage(join(root, 'usr/share/nginx/html'), 'Welcome to nginx!'),
  async nonewprivs(root) {
    await mkdir(join(root, 'usr/local/bin'), { recursive: true });
    await copyFile(await goProgram('nonewprivs'), join(root, 'usr/local/bin/nnp'));
    await chmod(join(root, 'usr/local/bin/nnp'), 0o6755);
  },
};

type ImageSpec = Pick<ArchiveImage, 'name' | 'config'> & { layers: string[] };

const shell = { Env: [defaultPath], WorkingDir: '/' };
const httpd = { ...shell, Cmd: servedFrom('/usr/local/apache2/htdocs'), ExposedPorts: { '80/tcp': {} } };
const nginx = { ...shell, Cmd: servedFrom('/usr/share/nginx/html'), ExposedPorts: { '80/tcp': {} } };

const images: ImageSpec[] = [
  {
    name: `${registry}/agnhost:2.53`,
    layers: ['agnhost'],
    config: { ...shell, Entrypoint: ['/agnhost'], Cmd: ['pause'] },
  },
  { name: `${registry}/busybox:1.36.1-1`, layers: ['busybox'], config: { ...shell, Cmd: ['sh'] } },
  { name: `${registry}/httpd:2.4.38-4`, layers: ['busybox', 'htdocs'], config: httpd },
  {
    name: `${registry}/httpd:2.4.39-4`,
    layers: ['busybox', 'htdocs'],
    config: { ...httpd, Labels: { version: '2.4.39' } },
  },
  { name: `${registry}/nginx:1.14-4`, layers: ['busybox', 'nginx'], config: nginx },
  { name: `${registry}/nginx:1.15-4`, layers: ['busybox', 'nginx'], config: { ...nginx, Labels: { version: '1.15' } } },
  { name: `${registry}/nonewprivs:1.3`, layers: ['busybox', 'nonewprivs'], config: { ...shell, Cmd: ['nnp'] } },
  {
    name: `${registry}/nonroot:1.4`,
    layers: ['agnhost'],
    config: { ...shell, Entrypoint: ['/agnhost'], User: '1234' },
  },
  { name: 'registry.k8s.io/pause:3.10', layers: ['busybox'], config: { ...shell, Entrypoint: untilTold } },
];

/** Debian 12's busybox drops variables with names such as "data-1", which the one that the tests were written for keeps. */
const shellScript = `#!/bin/bash
while IFS= read -r -d '' variable; do
  [[ \${variable%%=*} =~ ^[A-Za-z_][A-Za-z_0-9]*$ ]] || exec /bin/bash "$@"
done </proc/self/environ
exec -a /bin/sh /bin/busybox "$@"
`;

/** Every command in /bin, as tests name them. */
async function fillBusybox(root: string): Promise<void> {
  await addBusybox(root, []);
  for (const folder of ['sbin', 'usr/bin', 'usr/sbin'])
    for (const name of await readdir(join(root, folder)))
      await link(join(root, folder, name), join(root, 'bin', name)).catch(() => {});
  const work = await mkdtemp(join(tmpdir(), 'sampan-bash-'));
  try {
    await run('apt-get', ['download', 'bash-static'], { cwd: work });
    const [archive = ''] = await readdir(work);
    await run('dpkg-deb', ['-x', archive, 'unpacked'], { cwd: work });
    await rm(join(root, 'bin/sh'));
    await copyFile(join(work, 'unpacked/bin/bash-static'), join(root, 'bin/bash'));
    await writeFile(join(root, 'bin/sh'), shellScript, { mode: 0o755 });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** As its Dockerfile makes it, less CoreDNS and iperf, which no test in scope uses. */
async function fillAgnhost(root: string): Promise<void> {
  await unpackPackages(root, ['curl', 'netcat-openbsd', 'bash']);
  await addBusybox(root, [{ name: 'user-defined-in-image', id: 1000, home: '/home/user-defined-in-image' }]);
  await appendFile(join(root, 'etc/group'), 'group-defined-in-image:x:50000:user-defined-in-image\n');
  await mkdir(join(root, 'uploads'));
  await copyFile(await goProgram('agnhost'), join(root, 'agnhost'));
  await chmod(join(root, 'agnhost'), 0o755);
  await symlink('agnhost', join(root, 'agnhost-2'));
  const { stdout } = await run('go', ['list', '-f', '{{.Dir}}', certificates], {
    cwd: import.meta.dirname,
    timeoutMs: 60_000,
  });
  for (const name of ['localhost.crt', 'localhost.key']) {
    await copyFile(join(stdout.trim(), name), join(root, name));
    await chmod(join(root, name), 0o644);
  }
}

async function addPage(directory: string, words: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'index.html'), `<html><body><h1>${words}</h1></body></html>\n`);
}

/** One OCI archive of all of them; made again when this file or the version changed. Needs root. */
export async function conformanceImages(): Promise<string> {
  const key = createHash('sha256')
    .update(await readFile(import.meta.filename))
    .digest('hex')
    .slice(0, 12);
  const archive = join(testImageCache, `conformance-${kubernetesVersion}-${key}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(testImageCache, { recursive: true });
  const work = await mkdtemp(join(testImageCache, '.conformance-'));
  try {
    for (const [name, fill] of Object.entries(layers)) {
      const root = join(work, name);
      await mkdir(root);
      await chmod(root, 0o755);
      await fill(root);
      const fixed = ['--sort=name', '--mtime=@1704067200', '--numeric-owner', '--xattrs'];
      await run('tar', ['-cf', `${root}.tar`, '-C', root, ...fixed, '.'], { timeoutMs: 600_000 });
    }
    await writeOciArchive(
      archive,
      images.map(({ name, config, layers: names }) => ({
        name,
        config,
        layerTars: names.map((layer) => join(work, `${layer}.tar`)),
      })),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return archive;
}
