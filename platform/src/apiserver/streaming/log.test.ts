import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { until } from '../../../test/fixtures/streaming-server.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import type { LogOptions, NodeGateway } from '../../node/gateway.ts';
import { handleLog } from './log.ts';

type Log = (options: LogOptions, signal: AbortSignal) => AsyncIterable<Uint8Array>;

async function serve(log: Log) {
  const gateway = { logs: async (_pod, options, signal) => log(options, signal) } as NodeGateway;
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    const pod = { namespace: 'default', name: 'pod', uid: 'uid' };
    handleLog({ pod, container: 'main', query, response, gateway, log: silentLogger, clock: systemClock }).catch(
      (error) => {
        response.writeHead(error.httpStatus).end(error.message);
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ask = async (query: string) => {
    const request = get({ port, host: '127.0.0.1', path: `/?${query}` });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  };
  const close = async () => {
    server.closeAllConnections();
    server.close();
  };
  return { ask, [Symbol.asyncDispose]: close };
}

test('a log is sent as it is, as plain text', async () => {
  await using lab = await serve(async function* ({ container, tailLines }) {
    yield Buffer.from(`${container} ${tailLines}\n`);
    yield Buffer.from([0xff, 0x00]);
  });
  const response = await lab.ask('tailLines=3');
  assert.equal(response.headers['content-type'], 'text/plain');
  const chunks = (await response.toArray()) as Buffer[];
  assert.deepEqual(Buffer.concat(chunks), Buffer.concat([Buffer.from('main 3\n'), Buffer.from([0xff, 0x00])]));
});

test('a follower sees the answer begin before there is a line, and its leaving is told', async () => {
  let told: AbortSignal | undefined;
  await using lab = await serve(async function* (_, signal) {
    told = signal;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    yield Buffer.from('too late');
  });
  const response = await lab.ask('follow=true');
  assert.equal(response.statusCode, 200);
  response.destroy();
  await until(() => told?.aborted === true, 'the gateway was told');
});

test('a reader that is slow holds back the log', async () => {
  let made = 0;
  await using lab = await serve(async function* () {
    for (; made < 1000; made++) yield Buffer.alloc(64 << 10);
  });
  const response = await lab.ask('');
  await systemClock.sleep(300);
  assert.ok(made < 500, `${made} pieces were made for a reader that has read nothing`);
  let size = 0;
  for await (const chunk of response) size += chunk.length;
  assert.equal(size, 1000 * (64 << 10));
});

test('what fails before the first byte is an error, and behind it a broken connection', async () => {
  await using refusing = await serve(() => {
    throw new SampanError('NotFound', 'no such container');
  });
  assert.equal((await refusing.ask('')).statusCode, 404);
  assert.equal((await refusing.ask('tailLines=-4')).statusCode, 422);
  await using breaking = await serve(async function* () {
    yield Buffer.from('half');
    throw new Error('disk gone');
  });
  await assert.rejects((await breaking.ask('')).toArray());
});
