/**
 * The images critest asks for, made of Debian's busybox and nginx under the names it asks for them by; one OCI archive for each, kept in the cache. One
 * cannot be had: test-image-digest, whose digest is of the very bytes that its makers pushed.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../platform/src/base/child.ts';
import type { ImageConfig } from '../../platform/src/images/images.ts';
import { testImageCache } from '../../platform/test/fixtures/images/build-image.ts';
import { addBusybox, unpackPackages } from '../../platform/test/fixtures/images/debian-root.ts';
import { nginx } from '../../platform/test/fixtures/images/nginx.ts';
import { writeOciArchive } from '../../platform/test/fixtures/images/oci-archive.ts';
import { defaultPath } from '../../platform/test/fixtures/images/recipe.ts';
import { goProgram } from '../conformance/go-programs.ts';
import { criToolsVersion } from './go-programs.ts';

interface TestImage {
  /** The reference without the registry's host; several when tags share an image. */
  names: string[];
  layers: string[];
  config: ImageConfig;
}

const shell: ImageConfig = { Env: [defaultPath], Cmd: ['sh'], WorkingDir: '/' };
// It says its name: a test looks for that in the log.
const httpd = 'echo httpd; httpd -f -p 80 -h /usr/local/apache2/htdocs & trap "kill $!; exit 0" TERM INT; wait';
const ofTests = 'e2e-test-images';
const ofTools = 'k8s-staging-cri-tools';
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

/** What is in a layer, by its name; a name that is not here is a file of that name. */
const layers: Record<string, (root: string) => Promise<void>> = {
  async busybox(root) {
    // The shell of the static one runs commands itself, without the files that tests look at: the other's runs them as any shell.
    await unpackPackages(root, ['busybox']);
    await rename(join(root, 'bin/busybox'), join(root, 'bin/sh'));
    await addBusybox(root, []);
    // Neither has these; they tell what tests look at.
    await writeFile(join(root, 'bin/pgrep'), '#!/bin/sh\nexec pidof "$1"\n', { mode: 0o755 });
    await writeFile(join(root, 'bin/ipcs'), '#!/bin/sh\nexec cat /proc/sysvipc/shm\n', { mode: 0o755 });
  },
  nginx: (root) => nginx.fill(root),
  async htdocs(root) {
    await mkdir(join(root, 'usr/local/apache2/htdocs'), { recursive: true });
    await writeFile(
      join(root, 'usr/local/apache2/htdocs/index.html'),
      '<html><body><h1>It works!</h1></body></html>\n',
    );
  },
  async nonewprivs(root) {
    await mkdir(join(root, 'usr/local/bin'), { recursive: true });
    await copyFile(await goProgram('nonewprivs'), join(root, 'usr/local/bin/nnp'));
    await chmod(join(root, 'usr/local/bin/nnp'), 0o6755);
  },
  async predefined(root) {
    await addBusybox(root, [{ name: 'default-user', id: 1000, home: '/home/default-user' }]);
    await writeFile(
      join(root, 'etc/group'),
      `root:x:0:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n`,
    );
  },
  async port12003(root) {
    await mkdir(join(root, 'etc/nginx/sites-enabled'), { recursive: true });
    await writeFile(join(root, 'etc/nginx/sites-enabled/default'), 'server { listen 12003; root /var/www/html; }\n');
  },
};

const one = (name: string, ...names: string[]): TestImage => ({ names: [name], layers: names, config: shell });
const user = (name: string, User: string): TestImage => ({
  ...one(`${ofTools}/test-image-user-${name}:latest`, 'busybox'),
  config: { ...shell, User },
});

const images: TestImage[] = [
  one(`${ofTests}/busybox:1.29-2`, 'busybox'),
  { ...one(`${ofTests}/nginx:1.14-2`, 'nginx'), config: nginx.config },
  { ...one(`${ofTests}/httpd:2.4.39-4`, 'busybox', 'htdocs'), config: { ...shell, Cmd: ['sh', '-c', httpd] } },
  { ...one(`${ofTests}/nonewprivs:1.3`, 'busybox', 'nonewprivs'), config: { ...shell, Cmd: ['nnp'] } },
  { ...one(`${ofTools}/hostnet-nginx-${architecture}:latest`, 'nginx', 'port12003'), config: nginx.config },
  user('uid', '1002'),
  user('username', 'www-data'),
  user('uid-group', '1003:users'),
  user('username-group', 'www-data:100'),
  { ...one(`${ofTools}/test-image-predefined-group:latest`, 'predefined'), config: { ...shell, User: '1000' } },
  one(`${ofTools}/test-image-latest:latest`, 'latest'),
  one(`${ofTools}/test-image-tag:test`, 'test'),
  one(`${ofTools}/test-image-tag:all`, 'all'),
  ...['1', '2', '3'].map((number) => one(`${ofTools}/test-image-${number}:latest`, number)),
  { ...one('', 'same'), names: ['1', '2', '3'].map((tag) => `${ofTools}/test-image-tags:${tag}`) },
];

/** Archives by the names their images are to be pushed as. Needs root. */
export async function critestImages(): Promise<Map<string, string>> {
  const key = createHash('sha256')
    .update(await readFile(import.meta.filename))
    .digest('hex')
    .slice(0, 12);
  const directory = join(testImageCache, `critest-${criToolsVersion}-${key}`);
  if (!existsSync(directory)) await buildImages(directory);
  return new Map(images.flatMap(({ names }, index) => names.map((name) => [name, join(directory, `${index}.tar`)])));
}

async function buildImages(directory: string): Promise<void> {
  await mkdir(testImageCache, { recursive: true });
  const work = await mkdtemp(join(testImageCache, '.critest-'));
  try {
    for (const name of new Set(images.flatMap((image) => image.layers))) await buildLayer(work, name);
    await mkdir(join(work, 'archives'));
    for (const [index, { names, config, layers: wanted }] of images.entries())
      await writeOciArchive(join(work, `archives/${index}.tar`), [
        { name: `registry.test/${names[0]}`, config, layerTars: wanted.map((layer) => join(work, `${layer}.tar`)) },
      ]);
    await rename(join(work, 'archives'), directory);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function buildLayer(work: string, name: string): Promise<void> {
  const root = join(work, name);
  await mkdir(root);
  await chmod(root, 0o755);
  await (layers[name] ?? ((root) => writeFile(join(root, name), `${name}\n`)))(root);
  const sameEveryTime = ['--sort=name', '--mtime=@1704067200', '--numeric-owner', '--xattrs'];
  await run('tar', ['-cf', `${root}.tar`, '-C', root, ...sameEveryTime, '.'], { timeoutMs: 600_000 });
}
