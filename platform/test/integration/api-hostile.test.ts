/**
 * Hostile requests against an API server in a process of its own: each gets a 4xx (or is harmless and gets a 2xx) in good time, memory stays
 * bounded, and nobody sees another namespace's data. SAMPAN_SEED repeats a run, SAMPAN_ROUNDS makes it longer, SAMPAN_HOSTILE_SCALE=1 makes bodies
 * as large as they may be; SAMPAN_IDLE_WATCHES=10000 opens as many watches as are promised, which takes a minute.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { hostileRequests } from '../fixtures/api/hostile-corpus.ts';
import type { HostileRequest } from '../fixtures/api/hostile-request.ts';
import { type Access, attacker, secretText } from '../fixtures/api/hostile-target.ts';

const seed = Number(process.env.SAMPAN_SEED ?? 1 + Math.floor(Math.random() * 1e6));
const rounds = Number(process.env.SAMPAN_ROUNDS ?? 100);
const scale = Number(process.env.SAMPAN_HOSTILE_SCALE ?? 0.2);
const watches = Number(process.env.SAMPAN_IDLE_WATCHES ?? 400);
/** CPU that one request may take of the server, and no more: whoever waits behind it waits as long. Not of the clock: other work may go on here. */
const mostCpuMs = 8000;
/** For an answer that comes at all. */
const patienceMs = 120_000;
const mostKibEach = 200;
/** What all of them together may leave behind; the store and its history are in memory too. */
const mostMib = 500;

let child: ChildProcess;
let access: Access;

/** As an admin, and nothing said yet. */
async function connected(): Promise<TLSSocket> {
  const { port, ca, certificate: cert, key } = access;
  const socket = connect({ host: '127.0.0.1', port, ca, cert, key });
  await once(socket, 'secureConnect');
  return socket;
}
let agent: Agent;
before(async () => {
  child = fork(new URL('../fixtures/api/hostile-server.ts', import.meta.url), { execArgv: ['--expose-gc'] });
  [access] = (await once(child, 'message')) as [Access];
  agent = new Agent({ ca: access.ca, cert: access.certificate, key: access.key, keepAlive: true, maxSockets: 4 });
});
after(async () => {
  agent.destroy();
  child.send('stop');
  await once(child, 'exit');
});

/** After its garbage was collected; what other threads have yet to give back is waited for, until it is below `enough`. */
async function residentMib(enough = Number.POSITIVE_INFINITY): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look === 0 || (look < 5 && least > enough); look++) {
    if (look > 0) await delay(500);
    child.send('memory');
    const [{ rss }] = (await once(child, 'message')) as [{ rss: number }];
    least = Math.min(least, rss / 2 ** 20);
  }
  return least;
}

/** CPU time of the thread that serves. */
function serverCpuMs(): number {
  const [, fields = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/stat`, 'utf8').split(') ');
  const [user, system] = fields.split(' ').slice(11, 13).map(Number) as [number, number];
  return (user + system) * 10;
}

interface Answer {
  status: number;
  text: string;
  /** Of the clock, and of the server's CPU meanwhile. */
  ms: number;
  cpuMs: number;
}

async function send({ method, path, type, body }: HostileRequest): Promise<Answer> {
  const started = performance.now();
  const cpuBefore = serverCpuMs();
  const headers = { 'Impersonate-User': attacker, ...(type ? { 'content-type': type } : {}) };
  const sent = request({ host: '127.0.0.1', port: access.port, agent, method, path, headers });
  sent.setTimeout(patienceMs, () => sent.destroy(new Error('no answer')));
  // Told once the answer is awaited; after that there is nobody to tell.
  sent.on('error', () => {});
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const [ms, cpuMs] = [performance.now() - started, serverCpuMs() - cpuBefore];
  return { status: response.statusCode ?? 0, text, ms, cpuMs };
}

// First, while nothing else has made the server's heap grow.
test(`${watches} idle watches cost little each, all hear of a change, and leave nothing behind`, async (t) => {
  const before = await residentMib();
  let heard = 0;
  const many = new Agent({ ca: access.ca, cert: access.certificate, key: access.key });
  const path = '/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=0&labelSelector=heard';
  const open = async () => {
    const sent = request({ host: '127.0.0.1', port: access.port, agent: many, path });
    sent.on('error', () => {});
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    response.on('error', () => {});
    response.on('data', (chunk: Buffer) => {
      if (chunk.includes('ADDED')) heard += 1;
    });
    return response;
  };
  const responses: IncomingMessage[] = [];
  while (responses.length < watches) {
    responses.push(...(await Promise.all(Array.from({ length: Math.min(50, watches - responses.length) }, open))));
  }
  const each = (((await residentMib(before + (watches * mostKibEach) / 1024)) - before) / watches) * 1024;
  const metadata = { name: 'heard', labels: { heard: 'yes' } };
  const body = JSON.stringify({ metadata });
  const type = 'application/json';
  const made = await send({ what: '', method: 'POST', path: '/api/v1/namespaces/default/configmaps', type, body });
  assert.equal(made.status, 201, made.text);
  const deadline = performance.now() + patienceMs;
  while (heard < watches && performance.now() < deadline) await delay(50);
  assert.equal(heard, watches);
  t.diagnostic(`${Math.round(each)} KiB a watch`);
  assert.ok(each < mostKibEach, `${Math.round(each)} KiB a watch`);
  for (const response of responses) response.destroy();
  many.destroy();
});

test('every hostile request is answered as such, in time, and tells nothing it should not', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const before = await residentMib();
  const wrong: string[] = [];
  let refused = 0;
  let slowest = { cpuMs: 0, name: '' };
  const attack = async (one: HostileRequest) => {
    const name = `${one.what} (${one.method} ${one.path.slice(0, 100)} ${String(one.body ?? '').slice(0, 80)})`;
    const answer = await send(one).catch((error: Error) => ({ status: 0, text: error.message, cpuMs: 0 }));
    if (answer.status < 200 || answer.status >= 500)
      wrong.push(`${answer.status}: ${name}: ${answer.text.slice(0, 300)}`);
    if (answer.cpuMs > slowest.cpuMs) slowest = { cpuMs: answer.cpuMs, name };
    if (answer.cpuMs > mostCpuMs) wrong.push(`${answer.cpuMs} ms of CPU: ${name}`);
    if (answer.text.includes(secretText)) wrong.push(`told a secret: ${name}`);
    if (answer.status >= 400) refused += 1;
  };
  const left = hostileRequests({ seed, mutants: rounds, scale }).values();
  const worker = async () => {
    for (const one of left) await attack(one);
  };
  await Promise.all([worker(), worker(), worker()]);
  const grown = (await residentMib(before + mostMib)) - before;
  t.diagnostic(`${slowest.cpuMs} ms of CPU at most: ${slowest.name.slice(0, 150)}`);
  t.diagnostic(`${refused} refused; the server grew by ${Math.round(grown)} MiB`);
  assert.deepEqual(wrong, []);
  assert.ok(refused > 300, `${refused} refused`);
  assert.ok(grown < mostMib, `the server grew by ${Math.round(grown)} MiB`);
  const alive = await send({ what: '', method: 'GET', path: '/api/v1/namespaces/default/configmaps/victim' });
  assert.equal(alive.status, 200);
  assert.equal(JSON.parse(alive.text).data.a, 'b');
});

test('a sender of too large a body learns so, although he reads nothing before all is sent', async () => {
  const size = 24 * 2 ** 20;
  for (const framing of [`content-length: ${size}`, 'transfer-encoding: chunked']) {
    const socket = await connected();
    socket.write(`POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`);
    const piece = Buffer.alloc(2 ** 16, ' ');
    for (let sent = 0; sent < size; sent += piece.length) {
      const whole = framing.includes('chunked') ? `10000\r\n${piece}\r\n` : piece;
      await new Promise<void>((resolve, reject) => socket.write(whole, (error) => (error ? reject(error) : resolve())));
    }
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 413 /);
    socket.destroy();
  }
});

test('senders that dawdle hold up nobody else', async () => {
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = await connected();
      socket.on('error', () => {});
      socket.write(
        'POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{',
      );
      return socket;
    }),
  );
  try {
    for (let i = 0; i < 5; i++) {
      for (const socket of sockets) socket.write(' ');
      const { status, ms } = await send({
        what: '',
        method: 'GET',
        path: '/api/v1/namespaces/default/configmaps/victim',
      });
      assert.equal(status, 200);
      // Long before the server gives the others up, which it does after a minute.
      assert.ok(ms < 20_000, `${Math.round(ms)} ms`);
      await delay(50);
    }
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('what is sent in pieces that contradict each other is refused, and the connection with it', async () => {
  const answers = [
    'GET / HTTP/9.9\r\n\r\n',
    'GET /api HTTP/1.1\r\n\r\n\r\n',
    'POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
    'POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    `GET /api HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(100_000)}\r\n\r\n`,
    '\0\0\0\0\r\n\r\n',
  ].map(async (text) => {
    const socket = await connected();
    socket.on('error', () => {});
    socket.write(text);
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    await Promise.race([
      new Promise((resolve) => socket.on('close', resolve)),
      delay(60_000, undefined, { ref: false }),
    ]);
    const isOver = socket.destroyed;
    socket.destroy();
    return { text: text.slice(0, 60), answer: answer.split('\r\n')[0], isOver };
  });
  for (const { text, answer, isOver } of await Promise.all(answers)) {
    assert.ok(isOver, `still open after ${JSON.stringify(text)}`);
    assert.match(answer ?? '', /^(HTTP\/1.1 4\d\d.*)?$/, text);
  }
});
