import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { until } from '../../test/fixtures/streaming-server.ts';
import { type Logger, silentLogger } from '../base/log.ts';
import type { GuestSession } from '../runtime/agent/agent.ts';
import { PodLoopback } from './pod-loopback.ts';

const pod = '0123abcd--k8s.io--pod';

/** Says back what it is told. */
function echo(): GuestSession & { killed: boolean } {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  return {
    killed: false,
    stdin: writable,
    stdout: readable,
    stderr: new ReadableStream(),
    resize: async () => {},
    exited: new Promise(() => {}),
    signal: async () => {},
    kill() {
      this.killed = true;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function world(
  work: (told: {
    call: () => Socket;
    dialled: string[];
    session: ReturnType<typeof echo>;
    asked: () => string[];
  }) => Promise<void>,
) {
  const directory = await mkdtemp(join(tmpdir(), 'loopback-'));
  const [program, socketPath] = [join(directory, 'listens'), join(directory, 'loopback.sock')];
  await writeFile(join(directory, 'asked'), '');
  await writeFile(program, `#!/bin/sh\nwhile read -r line; do echo ok; echo "$$ $line" >>${directory}/asked; done\n`, {
    mode: 0o755,
  });
  const [dialled, session]: [string[], ReturnType<typeof echo>] = [[], echo()];
  const loopback = new PodLoopback({
    ...{ program, socketPath, log: silentLogger },
    dial: async (sandboxId, port) => {
      dialled.push(`${sandboxId} ${port}`);
      if (port === 81) throw new SampanError('ServiceUnavailable', 'refused');
      return session;
    },
  });
  try {
    await loopback.open(pod, '/no/such/namespace');
    const asked = () => readFileSync(join(directory, 'asked'), 'utf8').split('\n').filter(Boolean);
    await work({ call: () => connect({ path: socketPath, allowHalfOpen: true }), dialled, session, asked });
  } finally {
    loopback.stop();
    await rm(directory, { recursive: true });
  }
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += chunk)).on('end', () => socket.end());
  await once(socket, 'close');
  return text;
}

test("a connection goes to the port that it was meant for, and its end to the guest's end", () =>
  world(async ({ call, dialled, session }) => {
    const socket = call();
    socket.write(`${pod} 8080\n`);
    const [answer] = await once(socket, 'data');
    assert.equal(String(answer), '+');
    socket.write('there ');
    socket.end('and back');
    assert.equal(await textOf(socket), 'there and back');
    assert.deepEqual([dialled, session.killed], [[`${pod} 8080`], true]);
  }));

test('where nobody listens, and for what is no request, there is no answer', () =>
  world(async ({ call, dialled }) => {
    const said = async (text: string) => {
      const socket = call();
      socket.on('error', () => {});
      socket.write(text);
      return textOf(socket);
    };
    assert.equal(await said(`${pod} 81\n`), '');
    assert.equal(await said(`${pod} port\n`), '');
    assert.equal(await said('x'.repeat(600)), '');
    assert.deepEqual(dialled, [`${pod} 81`]);
  }));

test('a program that dies is started anew, with all that it listened for', () =>
  world(async ({ asked }) => {
    await until(() => asked().length > 0, 'it is asked');
    const [first = ''] = asked();
    assert.match(first, new RegExp(`^\\d+ open\t${pod}\t/no/such/namespace$`));
    process.kill(Number.parseInt(first, 10), 'SIGKILL');
    await until(() => asked().length > 1, 'it is asked again');
    const [pid = '', ...words] = asked()[1]!.split(' ');
    assert.notEqual(Number(pid), Number.parseInt(first, 10));
    assert.equal(words.join(' '), first.replace(/^\d+ /, ''));
  }));

test('a socket that could not be made is tried again with the next sandbox', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'loopback-'));
  const socketPath = join(directory, 'in-the-way');
  const warnings: string[] = [];
  const log = {
    ...silentLogger,
    warn: (fields: { error: string }) => warnings.push(fields.error),
  } as unknown as Logger;
  const loopback = new PodLoopback({ program: '/bin/false', socketPath, log, dial: () => Promise.reject(new Error()) });
  try {
    await mkdir(socketPath);
    await loopback.open(pod, '/no/such/namespace');
    await rmdir(socketPath);
    await loopback.open(pod, '/no/such/namespace');
    assert.match(warnings[0] ?? '', /EISDIR|is a directory/i);
    assert.doesNotMatch(warnings[1] ?? '', /EISDIR|is a directory/i);
  } finally {
    loopback.stop();
    await rm(directory, { recursive: true });
  }
});
