/** CRI where something runs short: a disk that is full at each step and under an image, a registry that is slow, a hundred sandboxes at once. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { createServer, request as forward, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { command } from './support/command.ts';
import { missingForCri } from './support/cri-lab.ts';
import { FaultyCri, PodLife } from './support/faulty-cri.ts';
import { until } from './support/wait.ts';

describe('CRI where something runs short', { skip: missingForCri() }, () => {
  let faulty: FaultyCri;
  before(async () => {
    faulty = await FaultyCri.open('cri-shortage', 'namespace');
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());

  const writes = [
    ...['sandbox-record', 'sandbox-resources', 'sandbox-machine', 'sandbox-network', 'sandbox-ready'],
    ...['sandbox-answer', 'container-record', 'container-attach', 'image-record', 'image-attach'],
    ...['container-guest', 'container-created', 'exec', 'container-remove', 'container-forget', 'stop-record'],
    ...['stop-containers', 'release-machine', 'release-network', 'release-scratch', 'remove-record'],
  ];
  for (const step of writes)
    it(`a disk that is full at ${step} fails its call, which leaves nothing and may be made again`, async () => {
      const pod = new PodLife(faulty, `full-at-${step}`);
      await faulty.at(`${step} fail ENOSPC`);
      const broken = await pod.untilItBreaks();
      assert.ok(broken, 'the step was not reached');
      await pod.toTheEnd(await pod.takeUp(broken));
      await faulty.sweep();
    });

  it('a hundred sandboxes are made at once, and gone at once', async () => {
    const pods = Array.from({ length: 100 }, (_, index) => new PodLife(faulty, `crowd-${index}`));
    await Promise.all(pods.map((pod) => pod.run()));
    assert.equal((await faulty.client.listPodSandbox({})).items?.length, 100);
    await Promise.all(pods.map((pod) => pod.removeSandbox()));
    await faulty.sweep();
  });

  /** An image store of its own, on a disk of that size. */
  async function withImages(size: string, work: (directory: string) => Promise<void>): Promise<void> {
    const { lab } = faulty;
    const directory = join(lab.home, 'images');
    await lab.end('SIGTERM');
    const mounted = await command('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory]);
    assert.equal(mounted.code, 0, mounted.stderr);
    try {
      await lab.start();
      await work(directory);
    } finally {
      await lab.end('SIGTERM');
      await command('umount', ['--lazy', directory]);
      await lab.start();
    }
  }

  it('an image that does not fit on the disk is told so, leaves nothing, and is pulled once there is room', async () => {
    const { lab, image } = faulty;
    await withImages('700k', async (directory) => {
      await assert.rejects(lab.client.pullImage({ image: { image } }), (error: { code: number; message: string }) => {
        assert.equal(error.code, status.RESOURCE_EXHAUSTED, error.message);
        return true;
      });
      assert.equal((await lab.client.listImages({})).images, undefined);
      for (const part of ['work', 'block']) assert.deepEqual(await readdir(join(directory, part)), []);
      await command('mount', ['-o', 'remount,size=64m', directory]);
      await lab.client.pullImage({ image: { image } });
      assert.equal((await lab.client.listImages({})).images?.length, 1);
    });
  });

  it('a registry that is slow holds up nobody else, and a pull that a crash cut off leaves nothing', async () => {
    const { lab } = faulty;
    const slow = await slowRegistry(faulty.registry.host);
    try {
      await withImages('64m', async (directory) => {
        const image = faulty.image.replace(faulty.registry.host, slow.host);
        const pulling = lab.client.pullImage({ image: { image } });
        pulling.catch(() => {});
        await until('bytes trickle', async () => slow.trickled() > 0);
        const beside = new PodLife(faulty, 'beside');
        await beside.run();
        await beside.removeSandbox();
        assert.equal(await Promise.race([pulling.then(() => 'done'), delay(100).then(() => 'waits')]), 'waits');
        await lab.end('SIGKILL');
        await assert.rejects(pulling);
        await lab.start();
        assert.deepEqual(await readdir(join(directory, 'work')), []);
        assert.equal((await lab.client.imageStatus({ image: { image } })).image, undefined);
      });
      await faulty.sweep();
    } finally {
      slow.close();
    }
  });
});

/** Another registry's front, whose blobs come at a few bytes a second. */
async function slowRegistry(host: string): Promise<{ host: string; trickled: () => number; close: () => void }> {
  let trickled = 0;
  const server: Server = createServer((request, response) => {
    const [name, port] = host.split(':');
    const onward = forward(
      { host: name, port, path: request.url, method: request.method, headers: { ...request.headers, host } },
      (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        if (!request.url?.includes('/blobs/')) return answer.pipe(response);
        answer.on('readable', () => {});
        const drip = setInterval(() => {
          const piece = answer.read(64) ?? answer.read();
          if (piece === null) return;
          trickled += piece.length;
          response.write(piece);
        }, 100);
        response.on('close', () => clearInterval(drip));
      },
    );
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    trickled: () => trickled,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
