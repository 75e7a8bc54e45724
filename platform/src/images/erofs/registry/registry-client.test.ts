import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { digestOf, MemoryRegistry } from '../../../../test/fixtures/images/memory-registry.ts';
import { type Clock, FakeClock, systemClock } from '../../../base/clock.ts';
import type { RegistryAuth } from '../../images.ts';
import { parseReference } from '../../reference.ts';
import { RegistryClient } from './registry-client.ts';

/** Waits for nothing: for what is tried again. */
const hurriedClock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => (ms > 10_000 ? systemClock.sleep(ms, signal) : Promise.resolve()),
};

const data = Buffer.alloc(300_000, 'blob');
const descriptor = { mediaType: '', digest: digestOf(data), size: data.length };

async function withRegistry(
  body: (given: {
    registry: MemoryRegistry;
    client: RegistryClient;
    fetchBlob: (onBytes?: () => void) => Promise<Buffer>;
  }) => Promise<void>,
  options: { credentials?: RegistryAuth; clock?: Clock } = {},
): Promise<void> {
  await using registry = await MemoryRegistry.start();
  registry.addBlob(data);
  const directory = await mkdtemp(join(tmpdir(), 'registry-client-'));
  using client = new RegistryClient({
    reference: parseReference(`${registry.host}/a/b:1`),
    credentials: options.credentials,
    clock: options.clock ?? hurriedClock,
    insecureRegistries: [],
    stallMs: 30_000,
  });
  const fetchBlob = async (onBytes = () => {}) => {
    const path = join(directory, 'blob');
    const file = await open(path, 'wx');
    try {
      await client.blob(descriptor, { file, onBytes });
    } finally {
      await file.close();
    }
    return readFile(path);
  };
  try {
    await body({ registry, client, fetchBlob });
  } finally {
    await rm(directory, { recursive: true });
  }
}

const refuse = (response: ServerResponse, status: number, headers: Record<string, string> = {}) => {
  response.writeHead(status, headers);
  response.end();
  return true;
};

describe('a registry that fails in passing', () => {
  it('is asked again after 503 and 429', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      let asked = 0;
      registry.misbehave = (request, response) => {
        if (!request.url?.includes('/blobs/') || ++asked > 2) return false;
        return refuse(response, asked === 1 ? 503 : 429, { 'retry-after': '1' });
      };
      assert.ok((await fetchBlob()).equals(data));
      assert.equal(asked, 3);
    }));

  it('goes on where a broken download left off', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      const ranges: (string | undefined)[] = [];
      registry.misbehave = (request, response) => {
        if (!request.url?.includes('/blobs/')) return false;
        ranges.push(request.headers.range);
        if (ranges.length > 1) return false;
        response.writeHead(200, { 'content-length': data.length });
        response.write(data.subarray(0, 100_000), () => response.destroy());
        return true;
      };
      assert.ok((await fetchBlob()).equals(data));
      assert.equal(ranges.length, 2);
      assert.match(ranges[1] ?? '', /^bytes=[1-9]\d*-$/);
    }));

  it('starts over when the registry does not know ranges', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      let asked = 0;
      registry.misbehave = (request, response) => {
        if (!request.url?.includes('/blobs/')) return false;
        if (++asked > 1) {
          response.end(data);
          return true;
        }
        response.writeHead(200, { 'content-length': data.length });
        response.write(data.subarray(0, 100_000), () => response.destroy());
        return true;
      };
      assert.ok((await fetchBlob()).equals(data));
    }));

  it('that never recovers is ServiceUnavailable', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      registry.misbehave = (_, response) => refuse(response, 502);
      await assert.rejects(fetchBlob(), { reason: 'ServiceUnavailable' });
    }));

  it('that wants a long pause is TooManyRequests, with the pause', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      registry.misbehave = (_, response) => refuse(response, 429, { 'retry-after': '600' });
      await assert.rejects(fetchBlob(), { reason: 'TooManyRequests', details: { retryAfterSeconds: 600 } });
    }));
});

describe('a registry that stalls', () => {
  for (const [when, begin] of [
    ['before its answer', () => {}],
    ['in the middle of a blob', (response: ServerResponse) => response.write(data.subarray(0, 1000))],
  ] as const) {
    it(`${when} is Timeout after 30 s`, async () => {
      const clock = new FakeClock();
      await withRegistry(
        async ({ registry, fetchBlob }) => {
          const reached = Promise.withResolvers<void>();
          registry.misbehave = (request, response) => {
            if (!request.url?.includes('/blobs/')) return false;
            begin(response);
            if (when === 'before its answer') reached.resolve();
            return true;
          };
          const fetching = fetchBlob(reached.resolve);
          fetching.catch(() => {});
          await reached.promise;
          await clock.advance(29_000);
          assert.equal(
            await Promise.race([fetching.catch(() => 'failed'), systemClock.sleep(20).then(() => 'waiting')]),
            'waiting',
          );
          await clock.advance(2_000);
          await assert.rejects(fetching, { reason: 'Timeout', message: /sent nothing for 30 s/ });
        },
        { clock },
      );
    });
  }
});

describe('a registry that lies', () => {
  it('with other bytes of the same length is Invalid', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      registry.blobs.set(descriptor.digest, Buffer.alloc(data.length, 'evil'));
      await assert.rejects(fetchBlob(), { reason: 'Invalid', message: /digest/ });
    }));

  it('with more bytes than promised is Invalid', () =>
    withRegistry(async ({ registry, fetchBlob }) => {
      registry.blobs.set(descriptor.digest, Buffer.concat([data, data]));
      await assert.rejects(fetchBlob(), { reason: 'Invalid', message: /more than the 300000 bytes/ });
    }));

  it('with another manifest than the digest asked for is Invalid', () =>
    withRegistry(async ({ registry, client }) => {
      const digest = registry.addManifest('a/b:1', { schemaVersion: 2 });
      registry.manifests.set(`a/b:${digest}`, { body: Buffer.from('{}'), type: '' });
      await assert.rejects(client.manifest(digest), { reason: 'Invalid', message: /instead of/ });
    }));

  it('with an endless manifest is Invalid', () =>
    withRegistry(async ({ registry, client }) => {
      registry.manifests.set('a/b:1', { body: Buffer.alloc((4 << 20) + 1), type: '' });
      await assert.rejects(client.manifest('1'), { reason: 'Invalid', message: /longer than/ });
    }));
});

describe('credentials', () => {
  const credentials = { username: 'me', password: 'secret' };

  it('are not sent before they are asked for, and not to where the registry redirects', async () => {
    await using elsewhere = await MemoryRegistry.start();
    const seen: (string | undefined)[] = [];
    elsewhere.misbehave = (request, response) => {
      seen.push(request.headers.authorization);
      response.end(data);
      return true;
    };
    await withRegistry(
      async ({ registry, fetchBlob }) => {
        registry.passwords.set('a/b', credentials);
        const here: (string | undefined)[] = [];
        registry.misbehave = (request, response) => {
          if (!request.url?.includes('/blobs/')) return false;
          here.push(request.headers.authorization);
          return request.headers.authorization
            ? refuse(response, 307, { location: `http://${elsewhere.host}/blob?signed` })
            : false;
        };
        assert.ok((await fetchBlob()).equals(data));
        assert.equal(here[0], undefined);
        assert.match(here[1] ?? '', /^Basic /);
        assert.deepEqual(seen, [undefined]);
      },
      { credentials },
    );
  });

  it("that are wrong are Unauthorized after one try, with the registry's words", () =>
    withRegistry(
      async ({ registry, client }) => {
        registry.passwords.set('a/b', { ...credentials, password: 'other' });
        await assert.rejects(client.manifest('1'), { reason: 'Unauthorized', message: /authentication required/ });
        assert.equal(registry.requests.filter((request) => request.includes('manifests')).length, 2);
      },
      { credentials },
    ));
});

it('redirects in a circle are Invalid', () =>
  withRegistry(async ({ registry, client }) => {
    registry.misbehave = (request, response) => refuse(response, 302, { location: request.url ?? '' });
    await assert.rejects(client.manifest('1'), { reason: 'Invalid', message: /redirects/ });
  }));

it('a registry that is not there is ServiceUnavailable', async () => {
  using client = new RegistryClient({
    reference: parseReference('127.0.0.1:1/a:1'),
    clock: hurriedClock,
    insecureRegistries: [],
    stallMs: 30_000,
  });
  await assert.rejects(client.manifest('1'), { reason: 'ServiceUnavailable', message: /cannot reach 127.0.0.1:1/ });
});
