/**
 * The node's image endpoints, reached as /api/v1/nodes/<name>/proxy/images...: list, pull, import, remove.
 * Owns: parsing these requests and their answers. Who may call is decided before (nodes/proxy in the API server).
 *
 *   GET    /images                 {"images": [Image]}
 *   POST   /images/pull            {"image", "auth"?}; answers JSON lines {"progress": {...}}* then {"image"} or {"error"}
 *   POST   /images/import?as=NAME  body: the archive; answers {"images": [Image]}
 *   DELETE /images?name=REF        204, or 404
 */
import { mkdir, open, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { randomHex } from '../../base/ids.ts';
import type { ImageStore } from '../../images/images.ts';

const maxPullBody = 64 * 1024;

const pullBody = z.object({
  image: z.string().min(1).max(1024),
  auth: z
    .object({ username: z.string(), password: z.string(), identityToken: z.string(), registryToken: z.string() })
    .partial()
    .optional(),
});

export interface ImageEndpoints {
  /** True when the path was one of ours and the answer is on its way. */
  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<boolean>;
}

/** `uploadDirectory` is ours alone: what is in it was never received whole. */
export async function createImageEndpoints(images: ImageStore, uploadDirectory: string): Promise<ImageEndpoints> {
  await rm(uploadDirectory, { recursive: true, force: true });
  const routes: Record<string, (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>> = {
    'GET /images': async (_, response) => sendJson(response, 200, { images: await images.list() }),
    'POST /images/pull': (request, response) => pull(images, request, response),
    'POST /images/import': (request, response, url) =>
      importArchive(images, uploadDirectory, { request, response, url }),
    'DELETE /images': async (_, response, url) => {
      const name = url.searchParams.get('name') ?? '';
      if (!(await images.get(name)))
        throw new SampanError('NotFound', `image "${name}" not found`, { kind: 'images', name });
      await images.remove(name);
      response.writeHead(204).end();
    },
  };
  return {
    async handle(request, response, url) {
      const route = routes[`${request.method} ${url.pathname}`];
      if (!route) return false;
      await route(request, response, url);
      return true;
    },
  };
}

async function pull(images: ImageStore, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const wanted = await pullOf(request);
  const gone = new AbortController();
  response.on('close', () => gone.abort(new SampanError('Timeout', 'the client went away')));
  response.writeHead(200, { 'content-type': 'application/json-seq' });
  const line = (value: object) => response.write(`${JSON.stringify(value)}\n`);
  try {
    const image = await images.pull(wanted.image, {
      auth: wanted.auth,
      signal: gone.signal,
      onProgress: (progress) => line({ progress }),
    });
    line({ image });
  } catch (error) {
    line({ error: { reason: isReason(error) ? error.reason : 'InternalError', message: messageOf(error) } });
  }
  response.end();
}

async function pullOf(request: IncomingMessage): Promise<z.infer<typeof pullBody>> {
  try {
    return pullBody.parse(JSON.parse(await readBounded(request, maxPullBody)));
  } catch (error) {
    if (isReason(error)) throw error;
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new SampanError('BadRequest', `the body is no pull request: ${why}`);
  }
}

async function importArchive(
  images: ImageStore,
  uploadDirectory: string,
  { request, response, url }: { request: IncomingMessage; response: ServerResponse; url: URL },
): Promise<void> {
  await mkdir(uploadDirectory, { recursive: true, mode: 0o700 });
  const file = join(uploadDirectory, `${randomHex(8)}.tar`);
  try {
    await receive(request, file);
    const as = url.searchParams.get('as');
    sendJson(response, 200, { images: await images.import(file, as ? { as } : {}) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw withoutPath(error, file);
    throw new SampanError(
      'ResourceExhausted',
      `the node's disk is full while the archive arrived in ${uploadDirectory}`,
    );
  } finally {
    await rm(file, { force: true });
  }
}

/** A body that cannot be kept is read to its end all the same: who sends one hears no answer before. */
async function receive(request: IncomingMessage, file: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) await handle.appendFile(chunk);
  } catch (error) {
    request.resume();
    throw error;
  } finally {
    await handle.close();
  }
}

/** Who sent the archive does not know the file that it was kept in meanwhile. */
function withoutPath(error: unknown, file: string): unknown {
  if (!isReason(error)) return error;
  const message = error.message.replaceAll(`archive ${file}`, 'the archive').replaceAll(file, 'the archive');
  return new SampanError(error.reason, message, error.details, { cause: error });
}

async function readBounded(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > limit) throw new SampanError('RequestEntityTooLarge', `the body is larger than ${limit} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}
