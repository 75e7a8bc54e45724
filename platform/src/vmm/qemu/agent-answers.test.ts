import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { agentAnswers } from './agent-answers.ts';

async function withGuest(guest: (socket: Socket, frame: Buffer) => void, body: (path: string) => Promise<void>) {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-answers-'));
  const path = join(directory, 'agent');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (frame) => guest(socket, frame));
  });
  try {
    await once(server.listen(path), 'listening');
    await body(path);
  } finally {
    server.close();
    await rm(directory, { recursive: true });
  }
}

test('a guest that gives the nonce back lives, whatever it said before, in however many pieces', () =>
  withGuest(
    (socket, frame) => {
      assert.deepEqual([...frame.subarray(0, 12)], [1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0]);
      assert.deepEqual([frame.length, frame.at(-1)], [29, 0xa5]);
      const nonce = frame.subarray(12, 28);
      socket.write(Buffer.concat([Buffer.alloc(20_000), nonce.subarray(0, 7)]), () => socket.write(nonce.subarray(7)));
    },
    (path) => agentAnswers(path, systemClock, 60_000),
  ));

test('a guest that says nothing, something else or hangs up does not', async () => {
  const fails = (reason: 'Timeout' | 'ServiceUnavailable', timeoutMs: number) => (path: string) =>
    assert.rejects(agentAnswers(path, systemClock, timeoutMs), (error) => isReason(error, reason));
  await withGuest(() => {}, fails('Timeout', 20));
  await withGuest((socket) => socket.write(Buffer.alloc(29, 1)), fails('Timeout', 20));
  await withGuest((socket) => socket.destroy(), fails('ServiceUnavailable', 60_000));
  await fails('ServiceUnavailable', 60_000)('/nowhere/agent');
});
