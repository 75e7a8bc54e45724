import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { WebSocket } from 'ws';
import {
  type StreamingServerOptions,
  startStreamingServer,
  textOf,
  until,
} from '../../../../test/fixtures/streaming-server.ts';
import { systemClock } from '../../../base/clock.ts';

const everything = 'container=main&command=sh&command=-c&stdin=true&stdout=true&stderr=true';

/** A client that keeps what it got by channel. */
async function connect(options: StreamingServerOptions, query: string, protocols: string[]) {
  const server = await startStreamingServer(options);
  const socket = new WebSocket(`ws://${server.address}/?${query}`, protocols);
  const messages: Buffer[] = [];
  socket.on('message', (data: Buffer) => messages.push(data));
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  const on = (channel: number) =>
    Buffer.concat(messages.filter((data) => data[0] === channel).map((data) => data.subarray(1))).toString();
  const send = (channel: number, text: string) => socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(text)]));
  const dispose = async () => {
    socket.terminate();
    await server[Symbol.asyncDispose]();
  };
  return { server, socket, messages, closed, on, send, [Symbol.asyncDispose]: dispose };
}

test('v4: every channel, a first empty message, and the exit code as a Status', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v4.channel.k8s.io']);
  const session = await client.server.session();
  assert.deepEqual(client.server.calls, [
    ['exec', { container: 'main', command: ['sh', '-c'], stdin: true, stdout: true, stderr: true, tty: false }],
  ]);
  await until(() => client.messages.length === 1, 'the connection is announced');
  assert.deepEqual(client.messages[0], Buffer.of(1));
  client.send(0, 'typed');
  const { value } = await session.input.getReader().read();
  assert.equal(Buffer.from(value!).toString(), 'typed');
  await session.output.write(Buffer.from('out'));
  await session.errors.write(Buffer.from('err'));
  await session.exit(3);
  assert.equal(await client.closed, 1000);
  assert.equal(client.on(1), 'out');
  assert.equal(client.on(2), 'err');
  const { metadata: _, ...status } = JSON.parse(client.on(3));
  assert.deepEqual(status, {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: 'command terminated with non-zero exit code: exit status 3',
    details: { causes: [{ reason: 'ExitCode', message: '3' }] },
  });
  assert.ok(session.disposed);
});

test('v5: channel 255 ends stdin, and only v5 has it', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
  assert.equal(client.socket.protocol, 'v5.channel.k8s.io');
  const session = await client.server.session();
  client.send(0, 'all of it');
  client.socket.send(Buffer.of(255, 0));
  assert.equal(await textOf(session.input), 'all of it');
  await session.exit(0);
  await client.closed;
  assert.equal(JSON.parse(client.on(3)).status, 'Success');

  await using older = await connect({ kind: 'exec' }, everything, ['v4.channel.k8s.io']);
  const other = await older.server.session();
  older.socket.send(Buffer.of(255, 0));
  older.send(0, 'still open');
  assert.equal(Buffer.from((await other.input.getReader().read()).value!).toString(), 'still open');
});

test('base64: digits and text in place of bytes', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v4.base64.channel.k8s.io']);
  const session = await client.server.session();
  client.socket.send(`0${Buffer.from('typed').toString('base64')}`);
  assert.equal(Buffer.from((await session.input.getReader().read()).value!).toString(), 'typed');
  await session.output.write(Buffer.from([0, 255, 128]));
  await session.exit(0);
  await client.closed;
  const [, out, status] = client.messages.map(String);
  assert.equal(out, `1${Buffer.from([0, 255, 128]).toString('base64')}`);
  assert.equal(JSON.parse(Buffer.from(status!.slice(1), 'base64').toString()).status, 'Success');
});

test('clients from before v4, and those that offer nothing, get words on the error channel', async () => {
  for (const protocols of [['channel.k8s.io'], []]) {
    await using client = await connect({ kind: 'exec' }, everything, protocols);
    assert.equal(client.socket.protocol, protocols[0] ?? '');
    await (await client.server.session()).exit(2);
    await client.closed;
    assert.match(client.on(3), /exit status 2/);
  }
});

test('an exec that cannot start says why on the error channel', async () => {
  const failure = new SampanError('FailedPrecondition', 'container "main" is not running');
  await using client = await connect({ kind: 'exec', failure }, everything, ['v5.channel.k8s.io']);
  assert.equal(await client.closed, 1000);
  const status = JSON.parse(client.on(3));
  assert.deepEqual([status.status, status.reason, status.message], ['Failure', 'FailedPrecondition', failure.message]);
});

test('with a terminal there is no stderr, and sizes arrive however they are cut', async () => {
  await using client = await connect({ kind: 'exec' }, `${everything}&tty=true`, ['v5.channel.k8s.io']);
  const session = await client.server.session();
  client.send(4, '{"Width":0,"Height":0}{"Width":80,"Hei');
  client.send(4, 'ght":24}\n{"Width":99999999,"Height":1}{"Width":100,"Height":50}');
  await until(() => session.resizes.length === 2, 'two sizes came');
  assert.deepEqual(session.resizes, ['80x24', '100x50']);
  assert.equal((client.server.calls[0] as [string, { stderr: boolean }])[1].stderr, false);
});

test('attach ends with success whatever the exit code: that stands in the Pod', async () => {
  await using client = await connect({ kind: 'attach' }, 'container=main&stdout=true', ['v5.channel.k8s.io']);
  const session = await client.server.session();
  await session.exit(7);
  await client.closed;
  assert.equal(JSON.parse(client.on(3)).status, 'Success');
});

test('a client that is gone ends the session', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v5.channel.k8s.io']);
  const session = await client.server.session();
  client.socket.terminate();
  await until(() => session.disposed, 'the session is disposed');
});

test('a client that does not read holds back the command, and gets all of it when it does', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v5.channel.k8s.io']);
  const session = await client.server.session();
  client.socket.pause();
  const chunk = randomBytes(64 << 10);
  let written = 0;
  const total = 64 << 20;
  const producing = (async () => {
    for (; written < total; written += chunk.length) await session.output.write(chunk);
    await session.exit(0);
  })();
  await untilStill(() => written);
  assert.ok(written < 32 << 20, `${written} bytes were taken from the command`);
  let received = 0;
  client.socket.on('message', (data: Buffer) => {
    if (data[0] === 1) received += data.length - 1;
    client.messages.length = 0;
  });
  client.socket.resume();
  await producing;
  await client.closed;
  assert.equal(received, total);
});

test('a command that does not read holds back the client, in bounded memory', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v5.channel.k8s.io']);
  const session = await client.server.session();
  const message = Buffer.concat([Buffer.of(0), randomBytes(64 << 10)]);
  const total = 64 << 20;
  for (let sent = 0; sent < total; sent += 64 << 10) client.socket.send(message);
  client.socket.send(Buffer.of(255, 0));
  await untilStill(() => client.socket.bufferedAmount);
  assert.ok(client.socket.bufferedAmount > total / 2, 'most of it waits with the client');
  let read = 0;
  for await (const chunk of session.input) read += chunk.length;
  assert.equal(read, total);
});

test('a message beyond the limit ends the connection', async () => {
  await using client = await connect({ kind: 'exec' }, everything, ['v5.channel.k8s.io']);
  const session = await client.server.session();
  client.socket.on('error', () => {});
  client.socket.send(randomBytes(9 << 20));
  assert.equal(await client.closed, 1009);
  await until(() => session.disposed, 'the session is disposed');
});

async function untilStill(value: () => number): Promise<void> {
  for (let last = -1; value() !== last; await systemClock.sleep(100)) last = value();
}

test('port-forward over channels: the port’s number first, then both ways; a port that fails says why', async () => {
  await using client = await connect({ kind: 'portforward' }, 'ports=80,8080', ['v4.channel.k8s.io']);
  const [first, second] = [await client.server.session(), await client.server.session()];
  await until(() => client.messages.length === 4, 'all four channels are announced');
  assert.deepEqual(client.messages.map((data) => [data[0], data.readUInt16LE(1)]).sort(), [
    [0, 80],
    [1, 80],
    [2, 8080],
    [3, 8080],
  ]);
  client.messages.length = 0;
  client.send(2, 'to 8080');
  assert.equal(Buffer.from((await second.input.getReader().read()).value!).toString(), 'to 8080');
  await first.output.write(Buffer.from('from 80'));
  await first.exit(0);
  await second.exit(0);
  assert.equal(await client.closed, 1000);
  assert.equal(client.on(0), 'from 80');

  const failure = new SampanError('ServiceUnavailable', 'connection refused');
  await using refused = await connect({ kind: 'portforward', failure }, 'ports=81', ['v4.channel.k8s.io']);
  await refused.closed;
  assert.match(refused.on(1), /error forwarding port 81 to pod pod, uid uid-1: connection refused/);
});

test('what cannot be served is refused before the upgrade', async () => {
  const refusal = async (kind: StreamingServerOptions['kind'], query: string, protocols: string[]) => {
    await using server = await startStreamingServer({ kind });
    const socket = new WebSocket(`ws://${server.address}/?${query}`, protocols);
    const [, response] = await once(socket, 'unexpected-response');
    assert.deepEqual(server.calls, []);
    return `${response.statusCode} ${await textOf(response)}`;
  };
  assert.match(await refusal('exec', everything, ['v9.channel.k8s.io']), /^403 .*v9\.channel/);
  assert.match(await refusal('exec', 'stdin=true', []), /^400 .*at least 1 command/);
  assert.match(await refusal('exec', 'command=ls', []), /^400 .*at least one of stdin, stdout, stderr/);
  assert.match(await refusal('attach', 'stdin=maybe', []), /^400 stdin is "maybe"/);
  assert.match(await refusal('portforward', 'ports=0', ['v4.channel.k8s.io']), /^400 port is "0"/);
});
