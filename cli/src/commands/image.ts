/** `sampan image`: the node's images, through nodes/<name>/proxy/images. */
import { open as openFile } from 'node:fs/promises';
import { connection } from '../connect.ts';
import type { Credentials } from '../credentials.ts';
import { Failure, forEach } from '../failure.ts';
import { getJson, open, readText } from '../https.ts';
import { type Image, pulledImage } from '../pulled-image.ts';
import { printTable } from '../table.ts';

const mib = 1024 * 1024;

export async function list(options: { output?: string }): Promise<void> {
  const { credentials, nodeName } = await connection();
  const { images } = await getJson<{ images: Image[] }>(credentials, endpoint(nodeName, ''));
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
  else {
    const rows = images.flatMap((image) =>
      (image.repoTags.length > 0 ? image.repoTags : image.repoDigests.slice(0, 1)).map((name) => [
        name,
        image.id.slice(7, 19),
        `${(image.sizeBytes / mib).toFixed(1)} MiB`,
      ]),
    );
    printTable(['IMAGE', 'ID', 'SIZE'], rows);
  }
}

export async function pull(name: string, options: { user?: string }): Promise<void> {
  const { credentials, nodeName } = await connection();
  const body = JSON.stringify({ image: name, auth: authOf(options.user) });
  const answer = await open(credentials, {
    method: 'POST',
    path: endpoint(nodeName, '/pull'),
    body,
    headers: { 'content-type': 'application/json' },
  });
  const isWatched = process.stderr.isTTY;
  const image = await pulledImage(answer, ({ phase, doneBytes, totalBytes }) => {
    if (!isWatched) return;
    const whole = totalBytes ? ` of ${(totalBytes / mib).toFixed(1)}` : '';
    process.stderr.write(`\r\x1b[K${phase} ${(doneBytes / mib).toFixed(1)}${whole} MiB`);
  }).finally(() => isWatched && process.stderr.write('\r\x1b[K'));
  process.stdout.write(`${image.id}\n`);
}

function authOf(user: string | undefined): { username: string; password: string } | undefined {
  if (user === undefined) return undefined;
  const [username = '', ...rest] = user.split(':');
  const password = rest.length > 0 ? rest.join(':') : process.env.SAMPAN_REGISTRY_PASSWORD;
  if (password === undefined)
    throw new Failure('--user has no password', {
      why: 'wanted name:password',
      mend: 'set SAMPAN_REGISTRY_PASSWORD, which keeps it off the command line',
    });
  return { username, password };
}

export async function importArchive(archive: string, options: { as?: string }): Promise<void> {
  const { credentials, nodeName } = await connection();
  for (const image of await uploadArchive(credentials, nodeName, archive, options.as)) {
    process.stdout.write(`${image.repoTags.join(' ') || image.id}\n`);
  }
}

export async function uploadArchive(
  credentials: Credentials,
  nodeName: string,
  archive: string,
  as?: string,
): Promise<Image[]> {
  const { body, size } = await archiveBody(archive);
  const query = as ? `?as=${encodeURIComponent(as)}` : '';
  const answer = await open(credentials, {
    method: 'POST',
    path: `${endpoint(nodeName, '/import')}${query}`,
    body,
    headers: { 'content-type': 'application/x-tar', ...(size === undefined ? {} : { 'content-length': String(size) }) },
  });
  return (JSON.parse(await readText(answer)) as { images: Image[] }).images;
}

/** `size` is unknown of what comes through a pipe (`-`, /dev/stdin). */
async function archiveBody(archive: string): Promise<{ body: NodeJS.ReadableStream; size?: number }> {
  if (archive === '-') return { body: process.stdin };
  try {
    const handle = await openFile(archive, 'r');
    const about = await handle.stat();
    if (about.isDirectory()) throw new Error('it is a directory');
    return { body: handle.createReadStream(), ...(about.isFile() ? { size: about.size } : {}) };
  } catch (error) {
    throw new Failure(`cannot read ${archive}`, {
      why: (error as Error).message,
      mend: 'name an OCI or docker-save archive, a tar file; - reads it from a pipe',
    });
  }
}

export async function remove(names: string[]): Promise<void> {
  const { credentials, nodeName } = await connection();
  await forEach(names, async (name) => {
    await readText(
      await open(credentials, { method: 'DELETE', path: `${endpoint(nodeName, '')}?name=${encodeURIComponent(name)}` }),
    );
    process.stdout.write(`${name}\n`);
  });
}

const endpoint = (nodeName: string, path: string): string => `/api/v1/nodes/${nodeName}/proxy/images${path}`;
