/** The official JavaScript client against our streams: it forwards ports over WebSocket channels, which no kubectl does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { Exec, KubeConfig, PortForward, type V1Status } from '@kubernetes/client-node';
import { newStreamingLab, type StreamingLab } from './streaming-lab.ts';

let lab: StreamingLab;
const config = new KubeConfig();
before(async () => {
  lab = await newStreamingLab();
  config.loadFromFile(lab.kubeconfig);
});
after(() => lab[Symbol.asyncDispose]());

test('exec: input, both outputs and the exit code', async () => {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const status = Promise.withResolvers<V1Status>();
  const command = ['sh', '-c', 'read line; echo "got $line"; echo err >&2; exit 3'];
  const socket = await new Exec(config).exec(
    'default',
    'pod',
    'main',
    command,
    stdout,
    stderr,
    stdin,
    false,
    status.resolve,
  );
  stdin.write('typed\n');
  const { details } = await status.promise;
  assert.equal(details?.causes?.[0]?.message, '3');
  if (socket.readyState !== socket.CLOSED) await once(socket as never, 'close');
  stdout.end();
  stderr.end();
  assert.equal(await text(stdout), 'got typed\n');
  assert.equal(await text(stderr), 'err\n');
});

test('port-forward over channels', async () => {
  const server = createServer((socket) => socket.on('data', (data) => socket.end(`you said ${data}`)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const { port } = server.address() as AddressInfo;
  await new PortForward(config).portForward('default', 'pod', [port], output, errors, input);
  input.write('hello');
  const [answer] = (await once(output, 'data', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
  assert.equal(String(answer), 'you said hello');
  server.close();
});
