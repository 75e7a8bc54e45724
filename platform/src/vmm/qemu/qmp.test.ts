import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { QmpClient } from './qmp.ts';

interface Command {
  execute: string;
  id: number;
  arguments: Record<string, unknown>;
}

/** A VMM that greets, and answers each command as `answer` says. */
async function withVmm(
  answer: (command: Command, socket: Socket) => string | undefined,
  body: (path: string) => Promise<void>,
  greeting = '{"QMP":{"version":{}}}\r\n',
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-qmp-'));
  const path = join(directory, 'qmp');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(greeting);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const command = JSON.parse(text.slice(0, end)) as Command;
        text = text.slice(end + 1);
        const reply = command.execute === 'qmp_capabilities' ? '{}' : answer(command, socket);
        if (reply !== undefined) socket.write(`{"return":${reply},"id":${command.id}}\r\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await body(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  }
}

test('calls are answered in whatever pieces the answers arrive, events come between', async () => {
  const answer = (command: Command, socket: Socket) => {
    socket.write('{"event":"RESUME","timestamp":{"seconds":1}}\r\n{"eve');
    socket.write('nt":"STOP"}\r\n');
    return JSON.stringify({ echo: command.arguments });
  };
  await withVmm(answer, async (path) => {
    const client = await QmpClient.connect(path, systemClock);
    const events: string[] = [];
    client.onEvent = ({ event }) => events.push(event);
    const answers = await Promise.all([client.call('a', { n: 1 }), client.call('b', { n: 2 })]);
    assert.deepEqual(answers, [{ echo: { n: 1 } }, { echo: { n: 2 } }]);
    assert.deepEqual(events, ['RESUME', 'STOP', 'RESUME', 'STOP']);
    client.close();
  });
});

test('a refusal carries the VMM’s words and the command’s name', async () => {
  const answer = (command: Command, socket: Socket) => {
    socket.write(`{"error":{"class":"GenericError","desc":"no such node"},"id":${command.id}}\r\n`);
    return undefined;
  };
  await withVmm(answer, async (path) => {
    const client = await QmpClient.connect(path, systemClock);
    await assert.rejects(client.call('blockdev-del'), /blockdev-del: no such node/);
    client.close();
  });
});

test('silence times out, and a closed connection rejects what is pending', async () => {
  await withVmm(
    (command, socket) => void (command.execute === 'die' && socket.destroy()),
    async (path) => {
      const client = await QmpClient.connect(path, systemClock);
      await assert.rejects(client.call('sleep', {}, 20), (error) => isReason(error, 'Timeout'));
      await assert.rejects(client.call('die'), (error) => isReason(error, 'ServiceUnavailable'));
      assert.equal(await client.closed, undefined);
      await assert.rejects(client.call('more'), (error) => isReason(error, 'ServiceUnavailable'));
    },
  );
});

for (const [how, bytes] of [
  ['an endless line', 'x'.repeat(1 << 21)],
  ['what is no JSON', 'hello\r\n'],
  ['what is no QMP', '{"return":{}}\r\n{"id":"x","return":1}\r\n'],
] as const)
  test(`a VMM that sends ${how} loses its connection`, async () => {
    await withVmm(
      (_, socket) => void socket.write(bytes),
      async (path) => {
        const client = await QmpClient.connect(path, systemClock);
        await assert.rejects(client.call('anything'), /broke the QMP protocol/);
        assert.match(String(await client.closed), /broke/);
      },
    );
  });

test('nobody there is ServiceUnavailable, and a VMM that never greets is a Timeout', async () => {
  await assert.rejects(QmpClient.connect('/nowhere/qmp', systemClock), (error) =>
    isReason(error, 'ServiceUnavailable'),
  );
  await withVmm(
    () => undefined,
    async (path) => {
      await assert.rejects(QmpClient.connect(path, systemClock, 30), (error) => isReason(error, 'Timeout'));
    },
    '',
  );
});
