import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, credentials, type MethodDefinition, status } from '@grpc/grpc-js';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import type * as cri from '../runtime/generated/cri.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type CriServer, startCriServer } from './cri-server.ts';
import { loadCriServices } from './messages.ts';

let directory: string;
let server: CriServer;
let client: Client;
/** Events that were asked of the runtime, and watchers that were let go. */
const seen = { events: 0, ended: 0 };
let started: (() => void) | undefined;

const filler = 'x'.repeat(8 * 1024);
const runtime = {
  getContainerEvents: () => {
    started?.();
    const next = async () => {
      seen.events++;
      await new Promise((resolve) => setImmediate(resolve));
      return { done: false, value: { containerId: filler } };
    };
    const finish = async () => {
      seen.ended++;
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: finish }) };
  },
  version: async () => ({ runtimeName: 'of tests' }),
} as unknown as Runtime;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-cri-server-'));
  server = await startCriServer({
    runtime,
    socketPath: join(directory, 's.sock'),
    log: silentLogger,
    clock: systemClock,
  });
  client = new Client(`unix:${server.socketPath}`, credentials.createInsecure());
});
after(async () => {
  client.close();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

const methodOf = (name: string) => loadCriServices().runtime[name] as MethodDefinition<object, object>;

function call<Answer>(name: string, request: object): Promise<Answer> {
  const { path, requestSerialize, responseDeserialize } = methodOf(name);
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
      error ? reject(error) : resolve(answer as Answer),
    ),
  );
}

/** A client of the bare protocol, which takes nothing that nobody reads. */
function watch(): { session: ClientHttp2Session; stream: ClientHttp2Stream } {
  const session = connectHttp2('http://cri', { createConnection: () => connect(server.socketPath) });
  session.on('error', () => {});
  const headers = { 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ':method': 'POST', ':path': methodOf('GetContainerEvents').path, ...headers });
  stream.on('error', () => {});
  stream.pause();
  // A message of no bytes: not compressed, length 0.
  stream.end(Buffer.alloc(5));
  return { session, stream };
}

test('a client that never reads its events holds few of them in memory, and lets go when it leaves', async () => {
  const begun = new Promise<void>((resolve) => {
    started = resolve;
  });
  const { session } = watch();
  await begun;
  let before = -1;
  // Until no more are taken: what HTTP/2 and both sides' buffers hold.
  while (seen.events !== before) {
    before = seen.events;
    await systemClock.sleep(200);
  }
  assert.ok(seen.events > 0 && seen.events < 500, `${seen.events} events of 8 KiB were taken`);
  assert.equal((await call<cri.VersionResponse>('Version', {})).runtimeName, 'of tests');
  session.destroy();
  while (seen.ended === 0) await systemClock.sleep(10);
});

test('a call that is not served is refused by its name', async () => {
  for (const name of ['CheckpointContainer', 'CheckpointPod', 'RestorePod', 'UpdatePodSandboxResources'])
    await assert.rejects(call(name, {}), (error: { code: number; details: string }) => {
      assert.equal(error.code, status.UNIMPLEMENTED);
      assert.match(error.details, new RegExp(`^${name} is not served: `));
      return true;
    });
});

test('what kubelet tells of its network is heard and changes nothing', async () => {
  const runtimeConfig = { networkConfig: { podCidr: '10.0.0.0/24' } };
  assert.deepEqual(await call('UpdateRuntimeConfig', { runtimeConfig }), {});
});

test('noise on the socket ends that connection alone', async () => {
  const socket = connect(server.socketPath);
  const gone = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.resume();
  socket.write(Buffer.alloc(100_000, 'noise'));
  await gone;
  assert.equal((await call<cri.VersionResponse>('Version', {})).runtimeName, 'of tests');
});

test('a second server at the same path is refused while the first is there', async () => {
  await assert.rejects(
    startCriServer({ runtime, socketPath: server.socketPath, log: silentLogger, clock: systemClock }),
    {
      reason: 'FailedPrecondition',
    },
  );
});
