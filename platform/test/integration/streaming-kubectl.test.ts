/** exec, cp, attach, port-forward and logs with every kubectl there is, against the real API server and a node of local processes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { newStreamingLab, type StreamingLab } from './streaming-lab.ts';
import { kubectlBinary, kubectlVersions } from './support/instance.ts';
import { until } from './support/wait.ts';

const big = randomBytes(8 << 20);
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

if (kubectlVersions.length === 0)
  test('kubectl streams', (t) => t.skip('no kubectl of a known version on this machine'));
for (const version of kubectlVersions) describe(`kubectl ${version}`, () => suite(version));

function suite(version: string): void {
  let lab: StreamingLab;
  before(async () => {
    lab = await newStreamingLab();
  });
  after(() => lab[Symbol.asyncDispose]());

  const exec = (args: string[], input?: Uint8Array) => lab.kubectl(version, ['exec', ...args], input);

  test('exec keeps stdout and stderr apart and passes the exit code through', async () => {
    const result = await exec(['pod', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3']);
    assert.equal(result.stdout.toString(), 'out\n');
    assert.match(result.stderr, /^err\n/m);
    assert.match(result.stderr, /command terminated with exit code 3/);
    assert.equal(result.code, 3);
    assert.equal((await exec(['pod', '--', 'true'])).code, 0);
  });

  test('exec -i carries much in and out again, and the command sees the end of its input', async () => {
    const result = await exec(['-i', 'pod', '--', 'cat'], big);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(hash(result.stdout), hash(big));
  });

  test('exec returns when the command ends although input is still coming', async () => {
    const result = await exec(['-i', 'pod', '--', 'sh', '-c', 'head -c 5; exit 6'], big);
    assert.equal(result.code, 6, result.stderr);
    assert.equal(result.stdout.length, 5);
  });

  test('exec of a command that cannot start says why', async () => {
    const result = await exec(['pod', '--', 'not-running']);
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, /container "main" is not running/);
  });

  test('exec -it gives a terminal of the right size', async () => {
    lab.gateway.resizes.length = 0;
    const command = `stty rows 33 cols 77; ${kubectlBinary(version)} --kubeconfig ${lab.kubeconfig} exec -it pod -- sh -c 'test -t 0 && echo is-a-tty; read line; exit 5'`;
    const child = spawn('script', ['-qefc', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: 120_000,
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const exited = once(child, 'exit');
    await Promise.race([exited, until('its size', async () => lab.gateway.resizes.length > 0)]);
    child.stdin.end('\n');
    const [code] = await exited;
    assert.match(output, /is-a-tty/);
    assert.equal(code, 5, output);
    assert.deepEqual(lab.gateway.resizes[0], '77x33');
  });

  test('cp brings a big file in and back without loss', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sampan-cp-'));
    try {
      const [local, remote, back] = ['local', 'remote', 'back'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ];
      await writeFile(local, big);
      const there = await lab.kubectl(version, ['cp', local, `pod:${remote}`]);
      assert.equal(there.code, 0, there.stderr);
      assert.equal(hash(await readFile(remote)), hash(big));
      const home = await lab.kubectl(version, ['cp', `pod:${remote}`, back]);
      assert.equal(home.code, 0, home.stderr);
      assert.equal(hash(await readFile(back)), hash(big));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('attach -i speaks with the container', async () => {
    const result = await lab.kubectl(version, ['attach', '-i', 'pod'], Buffer.from('hello\nstop\n'));
    assert.match(result.stdout.toString(), /attached\ngot hello\ngot stop/);
    assert.equal(result.code, 0, result.stderr);
  });

  test('port-forward serves many connections at once, big answers, and half-closed ones', () => forwards(version, lab));

  test('logs come whole, and -f ends with the log', async () => {
    lab.gateway.log = async function* (options) {
      yield Buffer.from(`first of ${options.container} ${options.tailLines ?? 'all'}\n`);
      if (options.follow) await delay(50);
      yield big.subarray(0, 3 << 20);
    };
    const once = await lab.kubectl(version, ['logs', 'pod', '--tail=7']);
    assert.equal(once.stdout.toString('latin1').split('\n')[0], 'first of main 7');
    const followed = await lab.kubectl(version, ['logs', '-f', 'pod']);
    assert.equal(followed.stdout.length, 'first of main all\n'.length + (3 << 20));
    assert.equal(followed.code, 0, followed.stderr);
  });

  test('a client that is killed leaves no process and no connection behind', async () => {
    const child = spawn(kubectlBinary(version)!, [
      '--kubeconfig',
      lab.kubeconfig,
      'exec',
      '-i',
      'pod',
      '--',
      'sleep',
      '600',
    ]);
    await until('it runs', async () => lab.gateway.running.size === 1);
    child.kill('SIGKILL');
    await until('it is ended', async () => lab.gateway.running.size === 0);
  });
}

async function forwards(version: string, lab: StreamingLab): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url === '/big') response.end(big);
    else request.pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = spawn(kubectlBinary(version)!, ['--kubeconfig', lab.kubeconfig, 'port-forward', 'pod/pod', `:${port}`]);
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  try {
    const [line] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
    const local = Number(/127\.0\.0\.1:(\d+)/.exec(String(line))?.[1]);
    const fetches = Array.from({ length: 8 }, async (_, index) => {
      const response = await fetch(`http://127.0.0.1:${local}/${index % 2 ? 'big' : 'echo'}`, {
        method: 'POST',
        body: index % 2 ? undefined : big.subarray(0, 2 << 20),
        headers: { connection: 'close' },
      });
      return hash(Buffer.from(await response.arrayBuffer()));
    });
    for (const [index, sum] of (await Promise.all(fetches)).entries()) {
      assert.equal(sum, hash(index % 2 ? big : big.subarray(0, 2 << 20)), `connection ${index}`);
    }
    const socket = connect({ host: '127.0.0.1', port: local, allowHalfOpen: true });
    socket.end('GET /echo HTTP/1.0\r\n\r\n');
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
    assert.match(String(answer), /200 OK/);
    socket.destroy();
    assert.equal(errors, '');
  } finally {
    child.kill();
    server.closeAllConnections();
    server.close();
  }
  await until('the connection is closed', async () => lab.gateway.connections.size === 0);
}
