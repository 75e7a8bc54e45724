/** pods/proxy over TLS, with a gateway that forwards to an HTTP server of the test's instead of a machine. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { portOf, readTarget } from '../../src/apiserver/http/pod-proxy.ts';
import type { NodeGateway } from '../../src/node/gateway.ts';
import type { StreamSession } from '../../src/runtime/runtime.ts';
import { startTestApi, testPod } from './api-test-server.ts';
import { until } from './support/wait.ts';

const pods = '/api/v1/namespaces/default/pods';

/** `ports` is what the gateway was asked for; a request to port 9 finds nobody. */
async function startLab() {
  const server = createServer(async (request, response) => {
    if (request.url === '/slow') return void response.write('begun');
    response.writeHead(request.url === '/teapot' ? 418 : 200, { 'x-pod': 'yes' });
    response.end(
      `${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? 'no word'} ${await text(request)}`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ports: number[] = [];
  const disposed: number[] = [];
  const portForward = async (_pod: unknown, wanted: number): Promise<StreamSession> => {
    ports.push(wanted);
    if (wanted === 9) throw new Error('connection refused');
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    const { readable, writable } = Duplex.toWeb(socket);
    return {
      stdin: writable,
      stdout: readable as ReadableStream<Uint8Array>,
      resize: async () => {},
      exited: new Promise((resolve) => socket.once('close', () => resolve({ exitCode: 0 }))),
      async [Symbol.asyncDispose]() {
        disposed.push(wanted);
        socket.destroy();
      },
    };
  };
  const api = await startTestApi({ more: { gateway: () => ({ portForward }) as unknown as NodeGateway } });
  const listening = await api.listen();
  const admin = await api.pki.adminClient();
  const pod = testPod('web');
  pod.spec.containers[0]!.ports = [{ containerPort: 8080 }];
  await api.client.create(resources.pods, pod);
  const ask = async (path: string, method = 'GET', body = '') => {
    const request = httpsRequest({
      host: '127.0.0.1',
      port: listening.port,
      path: pods + path,
      method,
      agent: false,
      ca: api.pki.caCertificate,
      cert: admin.certificate,
      key: admin.key,
      headers: { 'proxy-authorization': 'Basic secret' },
    });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  };
  return {
    ask,
    ports,
    disposed,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('pods/proxy', () => {
  it('passes method, path, query and body on and the answer back, but no credentials', async () => {
    await using lab = await startLab();
    const answer = await lab.ask('/web:81/proxy/a%20b/?q=1', 'POST', 'body');
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers['x-pod'], 'yes');
    assert.equal(await text(answer), 'POST /a%20b/?q=1 no word body');
    assert.equal((await lab.ask('/web/proxy/teapot')).statusCode, 418);
    assert.deepEqual(lab.ports, [81, 8080]);
  });

  it('sends a reader of the bare name below a slash, and says when the Pod cannot be reached', async () => {
    await using lab = await startLab();
    const moved = await lab.ask('/web/proxy');
    assert.deepEqual([moved.statusCode, moved.headers.location], [301, `${pods}/web/proxy/`]);
    const refused = await lab.ask('/web:9/proxy/');
    assert.equal(refused.statusCode, 503);
    assert.match(await text(refused), /error trying to reach service: connection refused/);
    assert.equal((await lab.ask('/other/proxy/')).statusCode, 404);
    assert.equal((await lab.ask('/web:x/proxy/')).statusCode, 400);
  });

  it('a reader that leaves ends the connection to the Pod', async () => {
    await using lab = await startLab();
    const answer = await lab.ask('/web/proxy/slow');
    assert.equal(answer.statusCode, 200);
    answer.destroy();
    await until('it is ended', async () => lab.disposed.length > 0);
    assert.deepEqual(lab.disposed, [8080]);
  });

  it('reads whom a name means', () => {
    assert.deepEqual(readTarget('web'), { scheme: 'http', name: 'web', port: undefined });
    assert.deepEqual(readTarget('https:web:443'), { scheme: 'https', name: 'web', port: 443 });
    assert.deepEqual(readTarget('http:web:'), { scheme: 'http', name: 'web', port: undefined });
    for (const bad of ['ftp:web:1', 'a:b:c:d', ':80', 'web:0', 'web:70000', 'web:http']) {
      assert.throws(() => readTarget(bad), /invalid pod request/);
    }
    assert.equal(portOf({ scheme: 'https', name: 'web', port: undefined }, {}), 443);
  });
});
