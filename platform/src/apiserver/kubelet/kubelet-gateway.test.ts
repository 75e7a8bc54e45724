import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { type KubeletServer, startKubeletServer } from '../../../test/fixtures/kubelet-server.ts';
import { TestSession, textOf, until } from '../../../test/fixtures/streaming-server.ts';
import { type Clock, FakeClock, systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { commandPath, kubeletGateway, logPath } from './kubelet-gateway.ts';
import { exitCodeOf } from './kubelet-sessions.ts';

const pod = { namespace: 'default', name: 'pod', uid: 'u' };
const all = { container: 'main', stdin: true, stdout: true, stderr: true, tty: false };
const log = { container: 'main', follow: false, previous: false, timestamps: false };

const gatewayOf = (kubelet: KubeletServer, more: { authority?: string; clock?: Clock } = {}) =>
  kubeletGateway({
    endpoint: async () => kubelet.endpoint,
    credentials: async () => kubelet.credentials,
    ...{ log: silentLogger, clock: systemClock },
    ...more,
  });

const write = async (stream: WritableStream<Uint8Array>, data: Uint8Array) => {
  const writer = stream.getWriter();
  await writer.write(data);
  await writer.close();
};

test('a command at a kubelet: input with its end, both outputs, its exit code; asked with our certificate', async () => {
  await using kubelet = await startKubeletServer();
  const there = new TestSession();
  kubelet.sessions.push(there);
  await using here = await gatewayOf(kubelet).exec(pod, { ...all, command: ['cat', 'a b'] });
  assert.deepEqual(kubelet.asked, [
    { url: '/exec/default/pod/main?command=cat&command=a+b&input=1&output=1&error=1', user: 'us' },
  ]);
  const data = randomBytes(3 << 20);
  const [, echoed, errors] = await Promise.all([
    write(here.stdin!, data),
    new Response(here.stdout).bytes(),
    textOf(here.stderr!),
    (async () => {
      for await (const chunk of there.input) await there.output.write(chunk);
      await there.errors.write(Buffer.from('wrong'));
      await there.exit(7);
    })(),
  ]);
  assert.ok(Buffer.from(echoed).equals(data));
  assert.equal(errors, 'wrong');
  assert.deepEqual(await here.exited, { exitCode: 7 });
});

test('a terminal has no stderr of its own, and its size is passed on', async () => {
  await using kubelet = await startKubeletServer();
  const there = new TestSession();
  kubelet.sessions.push(there);
  await using here = await gatewayOf(kubelet).attach(pod, { ...all, tty: true });
  assert.equal(here.stderr, undefined);
  assert.equal(kubelet.asked[0]?.url, '/attach/default/pod/main?input=1&output=1&tty=1');
  await here.resize(80, 25);
  await until(() => there.resizes.length > 0, 'the size came');
  assert.deepEqual(there.resizes, ['80x25']);
  await there.exit(0);
  assert.deepEqual(await here.exited, { exitCode: 0 });
});

test('what cannot be run says why, and a connection that breaks is no exit code', async () => {
  await using kubelet = await startKubeletServer();
  kubelet.sessions.push(new SampanError('NotFound', 'container main is not there'));
  const gateway = gatewayOf(kubelet);
  await using refused = await gateway.exec(pod, { ...all, command: ['x'] });
  await assert.rejects(refused.exited, /container main is not there/);
  const there = new TestSession();
  kubelet.sessions.push(there);
  await using here = await gateway.exec(pod, { ...all, command: ['x'] });
  await there.output.write(Buffer.from('half'));
  await kubelet[Symbol.asyncDispose]();
  await assert.rejects(here.exited);
  await assert.rejects(gateway.exec(pod, { ...all, command: ['x'] }), { reason: 'ServiceUnavailable' });
});

test('a port’s connection carries both ways and ends; one that nobody listens on says so', async () => {
  await using kubelet = await startKubeletServer();
  const there = new TestSession();
  kubelet.sessions.push(there, new SampanError('ServiceUnavailable', 'connection refused'));
  const gateway = gatewayOf(kubelet);
  await using here = await gateway.portForward(pod, 80);
  assert.equal(kubelet.asked[0]?.url, '/portForward/default/pod');
  await write(here.stdin!, Buffer.from('GET /'));
  assert.equal(await textOf(there.input), 'GET /');
  await there.output.write(Buffer.from('page'));
  await there.output.close();
  assert.equal(await textOf(here.stdout), 'page');
  await using closed = await gateway.portForward(pod, 81);
  await assert.rejects(textOf(closed.stdout), /error forwarding port 81 to pod pod.*connection refused/);
});

test('a port’s connection that breaks fails whoever reads it, and nobody else', async () => {
  await using kubelet = await startKubeletServer();
  kubelet.sessions.push(new TestSession());
  await using here = await gatewayOf(kubelet).portForward(pod, 80);
  const read = textOf(here.stdout);
  await kubelet[Symbol.asyncDispose]();
  await assert.rejects(read);
  // A rejection that nobody has taken would be told now.
  await new Promise((resolve) => setImmediate(resolve));
});

test('a log is what the kubelet answers, and its refusals come with its words', async () => {
  await using kubelet = await startKubeletServer((request, response) => {
    const [, , , , container] = new URL(request.url ?? '', 'http://x').pathname.split('/');
    const status = { main: 200, none: 404, waiting: 400, ours: 401 }[container ?? ''] ?? 500;
    response.writeHead(status).end(status === 200 ? 'one\ntwo\n' : `said ${status}`);
  });
  const { signal } = new AbortController();
  const gateway = gatewayOf(kubelet);
  const chunks = await Array.fromAsync(await gateway.logs(pod, log, signal));
  assert.equal(Buffer.concat(chunks).toString(), 'one\ntwo\n');
  for (const [container, reason, message] of [
    ['none', 'NotFound', 'said 404'],
    ['waiting', 'BadRequest', 'said 400'],
    ['ours', 'ServiceUnavailable', 'said 401'],
    ['broken', 'InternalError', 'said 500'],
  ] as const)
    await assert.rejects(gateway.logs(pod, { ...log, container }, signal), { reason, message });
});

test('a kubelet that never answers is given up', { timeout: 120_000 }, async () => {
  const answer = Promise.withResolvers<ServerResponse>();
  await using kubelet = await startKubeletServer((_, response) => answer.resolve(response));
  const clock = new FakeClock();
  const gateway = gatewayOf(kubelet, { clock });
  const summary = gateway.statsSummary();
  summary.catch(() => {});
  const asked = await answer.promise;
  await clock.advance(120_000);
  await assert.rejects(summary, { reason: 'ServiceUnavailable', message: /did not answer within 120 s/ });
  await until(() => asked.destroyed, 'the request is ended');
});

test('what is passed on to a kubelet ends when who asked for it has left', { timeout: 120_000 }, async () => {
  const answer = Promise.withResolvers<ServerResponse>();
  await using kubelet = await startKubeletServer((_, response) => answer.resolve(response));
  const request = Object.assign(new PassThrough(), { method: 'GET', headers: {} }) as unknown as IncomingMessage;
  const response = new PassThrough() as unknown as ServerResponse;
  const passed = gatewayOf(kubelet).proxy!(request, response, new URL('http://node/healthz'));
  passed.catch(() => {});
  const asked = await answer.promise;
  response.destroy();
  await assert.rejects(passed, { reason: 'ServiceUnavailable' });
  await until(() => asked.destroyed, 'the request is ended');
});

test('with an authority only kubelets that it has signed are believed', async () => {
  await using kubelet = await startKubeletServer();
  const { signal } = new AbortController();
  await gatewayOf(kubelet, { authority: kubelet.authority }).logs(pod, log, signal);
  await using other = await startKubeletServer();
  const wrong = gatewayOf(kubelet, { authority: other.authority });
  await assert.rejects(wrong.logs(pod, log, signal), {
    reason: 'ServiceUnavailable',
    message: /certificate|signature/,
  });
  assert.equal(kubelet.asked.length, 1);
});

test('options become a kubelet’s queries', () => {
  const sinceTime = new Date(0);
  const wanted = { ...log, follow: true, previous: true, timestamps: true, tailLines: 0, limitBytes: 5, sinceTime };
  assert.equal(
    logPath(pod, wanted),
    '/containerLogs/default/pod/main?follow=true&previous=true&timestamps=true&tailLines=0&limitBytes=5&sinceTime=1970-01-01T00%3A00%3A00.000Z',
  );
  const silent = { container: 'a/b', stdin: false, stdout: true, stderr: false, tty: false };
  assert.equal(commandPath('exec', pod, { ...silent, command: ['&'] }), '/exec/default/pod/a%2Fb?command=%26&output=1');
});

test('the end of a command is read, and what is none is an error', () => {
  assert.equal(exitCodeOf('{"status":"Success"}'), 0);
  const causes = [{ reason: 'ExitCode', message: '130' }];
  assert.equal(exitCodeOf(JSON.stringify({ status: 'Failure', reason: 'NonZeroExitCode', details: { causes } })), 130);
  assert.throws(() => exitCodeOf('{"status":"Failure","message":"no such thing"}'), /no such thing/);
  assert.throws(() => exitCodeOf(''), /without a word/);
  for (const text of ['null', '{"status":7}', 'killed'])
    assert.throws(() => exitCodeOf(text), { reason: 'InternalError', message: text });
});
