import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import type { Probe } from 'kubernetes-types/core/v1.js';
import { systemClock } from '../../base/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { runProbe } from './run-probe.ts';

async function listening<T extends Server>(server: T): Promise<{ port: number } & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        (server as unknown as { closeAllConnections?(): void }).closeAllConnections?.();
        server.close(() => resolve());
      }),
  };
}

const http = (answer: RequestListener) => listening(createServer(answer));
const freePort = async () => {
  await using server = await http(() => {});
  return server.port;
};

function probe(more: Probe, runtime: Partial<Runtime> = {}) {
  return runProbe({
    container: { name: 'c', ports: [{ name: 'web', containerPort: Number(more.httpGet?.port) || 1 }] },
    probe: { timeoutSeconds: 30, ...more },
    containerId: 'id',
    podIPs: ['127.0.0.1'],
    runtime: runtime as Runtime,
    clock: systemClock,
  });
}

describe('an http probe', () => {
  for (const [status, result] of [
    [200, 'success'],
    [302, 'success'],
    [399, 'success'],
    [400, 'failure'],
    [503, 'failure'],
  ] as const)
    test(`takes ${status} for ${result}`, async () => {
      await using server = await http((_, response) => response.writeHead(status).end('body'));
      const outcome = await probe({ httpGet: { port: server.port } });
      assert.equal(outcome.result, result);
      if (result === 'failure') assert.equal(outcome.output, `HTTP probe failed with statuscode: ${status}`);
    });

  test('sends path, query and headers, and says who it is', async () => {
    let seen: IncomingMessage | undefined;
    await using server = await http((request, response) => {
      seen = request;
      response.end();
    });
    await probe({
      httpGet: {
        port: server.port,
        path: '/a/b?c=d',
        httpHeaders: [
          { name: 'Host', value: 'me.example' },
          { name: 'X-A', value: '1' },
          { name: 'X-A', value: '2' },
        ],
      },
    });
    assert.equal(seen?.url, '/a/b?c=d');
    assert.equal(seen?.headers.host, 'me.example');
    assert.equal(seen?.headers['x-a'], '1, 2');
    assert.match(seen?.headers['user-agent'] ?? '', /^kube-probe\//);
  });

  test('follows a redirect within the host, and not to another', async () => {
    await using server = await http((request, response) => {
      const to = { '/in': '/end', '/out': 'http://elsewhere.invalid/', '/loop': '/loop' }[request.url ?? ''];
      response.writeHead(to ? 302 : request.url === '/end' ? 500 : 200, to ? { location: to } : {}).end();
    });
    const result = async (path: string) => (await probe({ httpGet: { port: server.port, path } })).result;
    assert.equal(await result('/in'), 'failure', 'the end of the way counts');
    assert.equal(await result('/out'), 'warning');
    assert.equal(await result('/loop'), 'failure');
  });

  test('fails where nobody listens, in Go’s words', async () => {
    const port = await freePort();
    const outcome = await probe({ httpGet: { port, path: '/x' } });
    assert.deepEqual(outcome, {
      result: 'failure',
      output: `Get "http://127.0.0.1:${port}/x": dial tcp 127.0.0.1:${port}: connect: connection refused`,
    });
  });

  test('fails when the answer takes longer than its timeout', async () => {
    await using server = await http(() => {});
    const outcome = await probe({ timeoutSeconds: 1, httpGet: { port: server.port } });
    assert.equal(outcome.result, 'failure');
    assert.match(outcome.output, /context deadline exceeded \(Client.Timeout exceeded while awaiting headers\)$/);
  });

  test('a port without a number or a known name is no word about the Pod', async () => {
    assert.equal((await probe({ httpGet: { port: 'nothing' } })).result, 'unknown');
  });
});

describe('a tcp probe', () => {
  test('passes where somebody listens and fails where not', async () => {
    const port = await freePort();
    assert.deepEqual(await probe({ tcpSocket: { port } }), {
      result: 'failure',
      output: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
    });
    await using server = await listening(createTcpServer());
    assert.equal((await probe({ tcpSocket: { port: server.port } })).result, 'success');
  });
});

describe('an exec probe', () => {
  const answering = (exitCode: number, stdout = '') => ({
    execSync: async () => ({ exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from('!') }),
  });
  const exec = { command: ['check', 'me'] };

  test('goes by the exit code and keeps the output', async () => {
    assert.equal((await probe({ exec }, answering(0))).result, 'success');
    assert.deepEqual(await probe({ exec }, answering(2, 'bad')), { result: 'failure', output: 'bad!' });
  });

  test('that takes too long has failed; one that cannot be run says nothing', async () => {
    const throwing = (error: Error) => ({ execSync: () => Promise.reject(error) });
    const slow = await probe({ exec }, throwing(new SampanError('Timeout', 'slow')));
    assert.deepEqual(slow, { result: 'failure', output: 'command timed out: "check me" timed out after 30s' });
    assert.equal((await probe({ exec }, throwing(new Error('no agent')))).result, 'unknown');
  });
});

describe('a grpc probe', () => {
  /** A health service that answers with the status of the service asked for. */
  async function health(answer: (service: string) => { serving?: number; grpcStatus?: number }) {
    const server = createHttp2Server();
    const sessions = new Set<{ destroy(): void }>();
    server.on('session', (session) => sessions.add(session));
    server.on('stream', (stream) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const message = Buffer.concat(chunks).subarray(5);
        const { serving, grpcStatus = 0 } = answer(message.subarray(2).toString());
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () =>
          stream.sendTrailers({ 'grpc-status': String(grpcStatus), 'grpc-message': 'why' }),
        );
        const body = serving ? Buffer.from([0, 0, 0, 0, 2, 0x08, serving]) : Buffer.from([0, 0, 0, 0, 0]);
        stream.end(grpcStatus === 0 ? body : Buffer.alloc(0));
      });
    });
    const listener = await listening(server as unknown as Server);
    return {
      port: listener.port,
      [Symbol.asyncDispose]: async () => {
        for (const session of sessions) session.destroy();
        await listener[Symbol.asyncDispose]();
      },
    };
  }

  test('passes when the service is serving', async () => {
    const long = 'x'.repeat(200);
    await using server = await health((service) => ({ serving: service === 'db' || service === '' ? 1 : 2 }));
    assert.equal((await probe({ grpc: { port: server.port } })).result, 'success');
    assert.equal((await probe({ grpc: { port: server.port, service: 'db' } })).result, 'success');
    assert.deepEqual(await probe({ grpc: { port: server.port, service: long } }), {
      result: 'failure',
      output: 'service unhealthy (responded with "NOT_SERVING")',
    });
  });

  test('says when there is no health service, or no server', async () => {
    await using server = await health(() => ({ grpcStatus: 12 }));
    const outcome = await probe({ grpc: { port: server.port } });
    assert.equal(outcome.result, 'failure');
    assert.match(outcome.output, /does not implement the grpc health protocol/);
    const nobody = await probe({ timeoutSeconds: 1, grpc: { port: await freePort() } });
    assert.equal(nobody.result, 'failure');
    assert.match(nobody.output, /^timeout: failed to connect service "127.0.0.1:\d+" within 1s/);
  });

  test('a server that is not gRPC at all fails it', async () => {
    await using server = await http((_, response) => response.end('hello'));
    assert.equal((await probe({ grpc: { port: server.port } })).result, 'failure');
  });

  test('an answer that never comes fails it in time', async () => {
    await using server = await listening(createTcpServer((socket) => socket.resume()));
    const outcome = await probe({ timeoutSeconds: 1, grpc: { port: server.port } });
    assert.equal(outcome.result, 'failure');
    assert.match(outcome.output, /within 1s$/);
  });
});
