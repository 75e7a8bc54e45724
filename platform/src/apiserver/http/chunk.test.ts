import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Chunk } from './chunk.ts';

const texts = ['one\n', 'zwei äöü\n', `${'3'.repeat(70_000)}\n`];
const chunks = texts.map((text) => new Chunk(Buffer.from(text)));

/** Every other piece Node's own way. */
async function answer(response: ServerResponse): Promise<void> {
  response.flushHeaders();
  for (const chunk of chunks) {
    chunk.writeTo(response);
    response.write('between\n');
    await delay(1);
  }
  response.end();
}

const server = createServer((request, response) => {
  // The first of two answers on one connection keeps the second waiting.
  if (request.url === '/slow') setTimeout(() => response.end('slow'), 50);
  else void answer(response);
});
let port: number;
before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  ({ port } = server.address() as AddressInfo);
});
after(() => server.close());

const whole = texts.map((text) => `${text}between\n`).join('');

test('chunks come whole and in order, to several readers, and the answer ends', async () => {
  const read = async () => {
    const [response] = (await once(get({ port, agent: false }), 'response')) as [IncomingMessage];
    return (await response.setEncoding('utf8').toArray()).join('');
  };
  for (const text of await Promise.all([read(), read(), read()])) assert.ok(text === whole);
});

test('who knows no chunks gets plain bytes, and who asked twice at once the second answer behind the first', async () => {
  const raw = async (request: string) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(request);
    return (await socket.setEncoding('utf8').toArray()).join('');
  };
  const old = await raw('GET / HTTP/1.0\r\n\r\n');
  assert.ok(old.endsWith(`\r\n\r\n${whole}`));
  const both = await raw('GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.ok(both.indexOf('slow') > 0 && both.indexOf('slow') < both.indexOf('one\n'));
  assert.ok(both.endsWith('0\r\n\r\n'));
});

test('a reader that has left is no error', async () => {
  const [response] = (await once(get({ port, agent: false }), 'response')) as [IncomingMessage];
  response.destroy();
  await delay(20);
});
