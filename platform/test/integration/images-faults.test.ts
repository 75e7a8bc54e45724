/** Full disks and sudden ends: nothing half-made is left, and what failed works the next time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { messageOf } from '@sampan/api/errors.ts';
import { run } from '../../src/base/child.ts';
import { silentLogger } from '../../src/base/log.ts';
import { createErofsImageStore } from '../../src/images/erofs/erofs-image-store.ts';
import { createImageEndpoints } from '../../src/node/server/image-endpoints.ts';
import { readErofs } from '../fixtures/images/erofs-reader.ts';
import { layerTar } from '../fixtures/images/layer.ts';
import { MemoryRegistry } from '../fixtures/images/memory-registry.ts';
import { mountTmpfs, whyNoMounts } from '../fixtures/images/mount.ts';
import { writeTestArchive } from '../fixtures/images/test-archive.ts';

let noMounts: string | undefined;
before(async () => {
  noMounts = await whyNoMounts();
});

const open = (directory: string) => createErofsImageStore({ directory, log: silentLogger });

/** A layer that needs `mib` MiB however it is compressed. */
const layerOf = (mib: number) => layerTar([{ name: 'data', content: randomBytes(mib << 20) }]);

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

it('a pull that fills the disk is ResourceExhausted, leaves nothing, and works once there is room', async (t) => {
  if (noMounts) return t.skip(noMounts);
  await using registry = await MemoryRegistry.start();
  await using disk = await mountTmpfs('6m');
  const { reference } = registry.publish('big:1', { layers: [await layerOf(4)] });
  const store = await open(disk.path);
  await assert.rejects(store.pull(reference), { reason: 'ResourceExhausted', message: /no space left/ });
  assert.deepEqual(await filesBelow(disk.path), []);
  await run('mount', ['-o', 'remount,size=12m', disk.path]);
  assert.deepEqual((await store.pull(reference)).repoTags, [reference]);
});

it('an archive that finds no room is answered, however much of it is still to come', async (t) => {
  if (noMounts) return t.skip(noMounts);
  await using disk = await mountTmpfs('1m');
  const endpoints = await createImageEndpoints(await open(disk.path), join(disk.path, 'uploads'));
  const server = createServer((request, response) => {
    const failed = (error: unknown) => response.writeHead(507).end(messageOf(error));
    endpoints.handle(request, response, new URL(request.url ?? '', 'http://node')).catch(failed);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const body = randomBytes(8 << 20);
    const signal = AbortSignal.timeout(120_000);
    const answer = await fetch(`http://127.0.0.1:${port}/images/import`, { method: 'POST', body, signal });
    assert.equal(answer.status, 507);
    assert.match(await answer.text(), /disk is full/);
    assert.deepEqual(await filesBelow(join(disk.path, 'uploads')), []);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it('a download that fills the disk is ResourceExhausted too', async (t) => {
  if (noMounts) return t.skip(noMounts);
  await using registry = await MemoryRegistry.start();
  await using disk = await mountTmpfs('2m');
  const { reference } = registry.publish('big:1', { layers: [await layerOf(4)] });
  await assert.rejects((await open(disk.path)).pull(reference), { reason: 'ResourceExhausted' });
  assert.deepEqual(await filesBelow(disk.path), []);
});

it('an import that fills the disk is ResourceExhausted, and leaves nothing', async (t) => {
  if (noMounts) return t.skip(noMounts);
  await using disk = await mountTmpfs('6m');
  const work = await mkdtemp(join(tmpdir(), 'images-faults-'));
  try {
    await writeTestArchive(join(work, 'big.tar'), [{ name: 'big:1', layers: [await layerOf(4)] }]);
    await assert.rejects((await open(disk.path)).import(join(work, 'big.tar')), { reason: 'ResourceExhausted' });
    assert.deepEqual(await filesBelow(disk.path), []);
  } finally {
    await rm(work, { recursive: true });
  }
});

it('layers kept from earlier pulls make room for a new image', async (t) => {
  if (noMounts) return t.skip(noMounts);
  await using registry = await MemoryRegistry.start();
  await using disk = await mountTmpfs('11m');
  const store = await open(disk.path);
  const first = registry.publish('first:1', { layers: [await layerOf(4)] });
  const second = registry.publish('second:1', { layers: [await layerOf(4)] });
  const { id } = await store.pull(first.reference);
  await store.remove(id);
  assert.ok((await store.usage()).usedBytes > 4 << 20);
  await store.pull(second.reference);
});

it('garbage collection frees the disk down to the low mark, and spares pinned images', async (t) => {
  if (noMounts) return t.skip(noMounts);
  await using registry = await MemoryRegistry.start();
  await using disk = await mountTmpfs('20m');
  const store = await open(disk.path);
  const ids: string[] = [];
  for (const name of ['pinned:1', 'old:1', 'new:1']) {
    const { reference } = registry.publish(name, { layers: [await layerOf(3)] });
    ids.push((await store.pull(reference)).id);
  }
  await store.pin(ids[0]!, 'sandbox');
  const collect = async (highPercent: number, lowPercent: number, minAgeMs = 0) => {
    const { removed, wantedBytes, freedBytes } = await store.collectGarbage({ highPercent, lowPercent, minAgeMs });
    return { removed, isEnough: freedBytes >= wantedBytes };
  };
  assert.deepEqual(await collect(99, 90), { removed: [], isEnough: true });
  // Old layers go first and leave 9 of 20 MiB.
  assert.deepEqual(await collect(60, 35), { removed: [ids[1]], isEnough: true });
  assert.deepEqual((await store.list()).map(({ id }) => id).sort(), [ids[0], ids[2]].sort());
  assert.deepEqual(await collect(1, 0, 120_000), { removed: [], isEnough: false });
  assert.deepEqual(await collect(1, 0), { removed: [ids[2]], isEnough: false });
});

it('a process killed in the middle of a pull leaves a store that opens and pulls', async () => {
  await using registry = await MemoryRegistry.start();
  const directory = await mkdtemp(join(tmpdir(), 'images-faults-'));
  const small = await layerTar([{ name: 'small', content: 'x' }]);
  const { reference, layerDigests } = registry.publish('big:1', { layers: [small, await layerOf(4)] });
  registry.misbehave = (request, response) => {
    if (!request.url?.endsWith(layerDigests[1]!)) return false;
    const blob = registry.blobs.get(layerDigests[1]!)!;
    response.writeHead(200, { 'content-length': blob.length });
    response.write(blob.subarray(0, 2 << 20));
    return true;
  };
  const child = spawn(process.execPath, [
    join(import.meta.dirname, '../fixtures/images/pull-once.ts'),
    directory,
    reference,
  ]);
  after(() => child.kill('SIGKILL'));
  try {
    for await (const chunk of child.stdout) {
      if (/downloading [1-9]\d{6}/.test(String(chunk))) break;
    }
    child.kill('SIGKILL');
    assert.ok((await filesBelow(join(directory, 'work'))).length > 0, 'the kill came in the middle');
    registry.misbehave = () => false;
    registry.requests.length = 0;
    const store = await open(directory);
    assert.deepEqual(await filesBelow(join(directory, 'work')), []);
    assert.deepEqual(await store.list(), []);
    const image = await store.pull(reference);
    assert.equal(readErofs(image.blockImagePath).get('small')?.content, 'x');
    // The layer that had arrived whole is not fetched again.
    assert.ok(!registry.requests.some((request) => request.endsWith(layerDigests[0]!)));
  } finally {
    child.kill('SIGKILL');
    await rm(directory, { recursive: true });
  }
});

it('a pull called off in the middle leaves nothing, and others of the same image go on', async () => {
  await using registry = await MemoryRegistry.start();
  const directory = await mkdtemp(join(tmpdir(), 'images-faults-'));
  try {
    const store = await open(directory);
    const { reference } = registry.publish('big:1', { layers: [await layerOf(2)] });
    const leaves = new AbortController();
    const leaving = store.pull(reference, {
      signal: leaves.signal,
      onProgress: () => leaves.abort(new Error('leaves')),
    });
    const staying = store.pull(reference);
    await assert.rejects(leaving, /leaves/);
    const { id } = await staying;
    await store.remove(id);
    const other = registry.publish('other:1', { layers: [await layerOf(2)] });
    const alone = new AbortController();
    const pull = store.pull(other.reference, {
      signal: alone.signal,
      onProgress: ({ doneBytes }) => doneBytes > 0 && alone.abort(new Error('gone')),
    });
    await assert.rejects(pull, /gone/);
    // The pull behind it ends in its own time.
    await store.idle();
    assert.deepEqual(await filesBelow(join(directory, 'work')), []);
    assert.deepEqual(await filesBelow(join(directory, 'block')), []);
  } finally {
    await rm(directory, { recursive: true });
  }
});
