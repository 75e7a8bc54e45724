/**
 * Reads one repository of one registry (OCI distribution-spec): manifests and blobs, each verified against its digest. Owns connections, tokens,
 * redirects and retries of one pull; closed with it.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { RegistryAuth } from '../../images.ts';
import { type Reference, repositoryName } from '../../reference.ts';
import { acceptedManifests, type Descriptor, maxManifestBytes } from '../manifest.ts';
import { writeFully } from '../write-fully.ts';
import { type HttpRequest, type HttpResponse, HttpTransport, isTlsMismatch } from './http-transport.ts';
import { RegistryAuthenticator } from './registry-auth.ts';
import { errorFrom, readBody } from './registry-errors.ts';
import { retrying } from './retry.ts';

export interface RegistryClientOptions {
  reference: Reference;
  credentials?: RegistryAuth | undefined;
  clock: Clock;
  /** `host[:port]` that may be spoken to without TLS or with an unknown certificate. Loopback always may. */
  insecureRegistries: string[];
  stallMs: number;
  actions?: 'pull' | 'pull,push';
  signal?: AbortSignal | undefined;
}

export interface BlobTarget {
  file: FileHandle;
  onBytes: (bytes: number) => void;
  signal?: AbortSignal;
}

export interface FetchedManifest {
  body: Buffer;
  digest: string;
  contentType: string;
}

const attempts = 4;
const maxRedirects = 5;

export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #transport: HttpTransport;
  readonly #auth: RegistryAuthenticator;
  readonly #insecure: boolean;
  #base: Promise<string> | undefined;

  constructor(options: RegistryClientOptions) {
    this.#options = options;
    const { registry, repository } = options.reference;
    this.#insecure = options.insecureRegistries.includes(registry) || isLoopback(registry);
    this.#transport = new HttpTransport({
      clock: options.clock,
      stallMs: options.stallMs,
      acceptAnyCertificate: this.#insecure,
    });
    this.#auth = new RegistryAuthenticator({
      transport: this.#transport,
      registry,
      repository,
      actions: options.actions ?? 'pull',
      credentials: options.credentials,
      insecure: this.#insecure,
    });
  }

  [Symbol.dispose](): void {
    this.#transport.close();
  }

  /** By tag or digest. Throws NotFound, Unauthorized, Invalid (does not match its digest, or size where given), ... */
  async manifest(which: string, size?: number): Promise<FetchedManifest> {
    const what = this.#nameOf(which);
    return this.#retrying(async () => {
      const response = await this.request(`/manifests/${which}`, { headers: { accept: acceptedManifests } });
      if (response.status !== 200) throw await errorFrom(response, what);
      const body = await readBody(response, maxManifestBytes, `the manifest of ${what}`);
      const digest = digestOf(body);
      const claimed = which.startsWith('sha256:') ? which : response.headers['docker-content-digest'];
      if (typeof claimed === 'string' && claimed.startsWith('sha256:') && claimed !== digest) {
        throw new SampanError(
          'Invalid',
          `${what}: the registry sent a manifest with the digest ${digest} instead of ${claimed}`,
        );
      }
      if (size !== undefined && size !== body.length) {
        throw new SampanError('Invalid', `${what}: the manifest has ${body.length} bytes, its index says ${size}`);
      }
      return { body, digest, contentType: response.headers['content-type'] ?? '' };
    });
  }

  /** A small blob in memory. */
  async smallBlob(descriptor: Descriptor): Promise<Buffer> {
    const what = this.#nameOf(descriptor.digest);
    return this.#retrying(async () => {
      const response = await this.request(`/blobs/${descriptor.digest}`);
      if (response.status !== 200) throw await errorFrom(response, what);
      const body = await readBody(response, descriptor.size, what);
      verify(what, descriptor, { digest: digestOf(body), size: body.length });
      return body;
    });
  }

  /** Downloads into an empty file, going on where a broken connection left off. Throws Invalid when the bytes are not the promised ones. */
  async blob(descriptor: Descriptor, to: BlobTarget): Promise<void> {
    const { file, onBytes, signal } = to;
    const what = this.#nameOf(descriptor.digest);
    let hash = createHash('sha256');
    let done = 0;
    await this.#retrying(async (progressed) => {
      const headers: Record<string, string> = done > 0 ? { range: `bytes=${done}-` } : {};
      const response = await this.request(`/blobs/${descriptor.digest}`, { headers, signal });
      const resumes = response.status === 206 && String(response.headers['content-range']).startsWith(`bytes ${done}-`);
      if (response.status !== 200 && !resumes) throw await errorFrom(response, what);
      if (!resumes && done > 0) {
        onBytes(-done);
        hash = createHash('sha256');
        done = 0;
      }
      for await (const chunk of response.body) {
        if (done + chunk.length > descriptor.size) {
          throw new SampanError(
            'Invalid',
            `${what}: the registry sends more than the ${descriptor.size} bytes it promised`,
          );
        }
        hash.update(chunk);
        await writeFully(file, chunk, done);
        done += chunk.length;
        onBytes(chunk.length);
        progressed();
      }
      if (done < descriptor.size) {
        throw new SampanError(
          'ServiceUnavailable',
          `${what}: the connection ended after ${done} of ${descriptor.size} bytes`,
        );
      }
    }, signal);
    verify(what, descriptor, { digest: `sha256:${hash.digest('hex')}`, size: done });
  }

  /** `https://host`, or with http where the registry may be spoken to so. */
  base(): Promise<string> {
    this.#base ??= this.#findBase();
    return this.#base;
  }

  /** The repository, for messages. */
  get name(): string {
    return repositoryName(this.#options.reference);
  }

  /** A request below /v2/<repository>, authenticated and with redirects followed. `path` may be an absolute URL of the registry's own giving. */
  async request(path: string, options: Omit<HttpRequest, 'url'> = {}): Promise<HttpResponse> {
    const base = await this.base();
    const url = path.startsWith('/')
      ? new URL(`${base}/v2/${this.#options.reference.repository}${path}`)
      : new URL(path, base);
    for (let tries = 0; ; tries++) {
      const response = await this.#follow(url, { ...options, trusted: new URL(base).origin });
      if (response.status !== 401 || tries === 1) return response;
      await this.#auth.answer(response, options.signal ?? this.#options.signal);
    }
  }

  async #follow(start: URL, options: Omit<HttpRequest, 'url'> & { trusted: string }): Promise<HttpResponse> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const headers = { ...options.headers };
      // Credentials are for this registry alone; where it redirects to has its own, in the URL.
      if (url.origin === options.trusted && this.#auth.header) headers.authorization = this.#auth.header;
      const response = await this.#transport.send({
        ...options,
        url,
        headers,
        signal: options.signal ?? this.#options.signal,
      });
      const location = response.headers.location;
      if (![301, 302, 303, 307, 308].includes(response.status) || !location) return response;
      response.discard();
      const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
      const allowed = next?.protocol === 'https:' || (next?.protocol === 'http:' && url.protocol === 'http:');
      if (!next || !allowed || redirects === maxRedirects) {
        throw new SampanError(
          'Invalid',
          `${this.#nameOf()}: the registry redirects where we do not follow (${next?.origin ?? 'no URL'})`,
        );
      }
      url = next;
    }
  }

  /** https, or http where the registry may be spoken to so and does not know TLS. Sends no credentials. */
  async #findBase(): Promise<string> {
    const { registry } = this.#options.reference;
    // Docker's registry answers under another name than its images carry.
    const secure = `https://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`;
    if (!this.#insecure) return secure;
    try {
      (await this.#transport.send({ url: new URL(`${secure}/v2/`), signal: this.#options.signal })).discard();
      return secure;
    } catch (error) {
      if (isTlsMismatch(error)) return `http://${registry}`;
      this.#base = undefined;
      throw error;
    }
  }

  #retrying<T>(work: (progressed: () => void) => Promise<T>, signal = this.#options.signal): Promise<T> {
    const { clock } = this.#options;
    return retrying({ clock, attempts, signal }, work);
  }

  #nameOf(which?: string): string {
    return which ? `${this.name}${which.startsWith('sha256:') ? '@' : ':'}${which}` : this.name;
  }
}

export function digestOf(data: Uint8Array): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function verify(what: string, wanted: Descriptor, got: { digest: string; size: number }): void {
  if (got.size !== wanted.size)
    throw new SampanError('Invalid', `${what}: got ${got.size} bytes, the manifest says ${wanted.size}`);
  if (got.digest !== wanted.digest)
    throw new SampanError('Invalid', `${what}: what the registry sent has the digest ${got.digest}`);
}

function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
