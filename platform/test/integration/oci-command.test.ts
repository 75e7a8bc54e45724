/** The OCI command line against a bundle runtime whose containers are plain processes: what a caller of runc expects of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { type OciServer, serveOci } from '../../src/oci/oci-server.ts';
import { createProcessBundles, type ProcessBundles } from '../fixtures/oci/process-bundles.ts';
import { command } from './support/command.ts';
import { hostProgram } from './support/host-program.ts';
import { until } from './support/wait.ts';

let home: string;
let program: string;
let bundles: ProcessBundles;
let server: OciServer;

before(async () => {
  program = await hostProgram('sampan-runtime');
  home = await mkdtemp('/var/tmp/sampan-oci-');
  bundles = createProcessBundles();
  server = await serve();
});

after(async () => {
  await server.close();
  await rm(home, { recursive: true, force: true });
});

afterEach(async () => {
  for (const id of (await call(['list', '-q'])).stdout.split('\n').filter(Boolean))
    await call(['delete', '--force', id]);
  assert.equal(bundles.sandboxes.size, 0, 'a sandbox goes with its last container');
});

const serve = () =>
  serveOci({ bundles, run: join(home, 'run'), home, start: { command: [], environment: {} }, log: silentLogger });
const call = (args: string[]) =>
  command(program, ['--root', join(home, 'root'), ...args], { env: { ...process.env, SAMPAN_HOME: home } });

async function bundle(id: string, script: string, more: object = {}): Promise<string> {
  const directory = join(home, id);
  await mkdir(join(directory, 'rootfs/bin'), { recursive: true });
  // What runs in its place is the host's.
  await writeFile(join(directory, 'rootfs/bin/sh'), '');
  const config = {
    ociVersion: '1.0.2',
    process: { args: ['/bin/sh', '-c', script], env: ['A=1'], cwd: '/' },
    root: { path: 'rootfs' },
    linux: { namespaces: ['network', 'pid', 'ipc', 'mount'].map((type) => ({ type })) },
    ...more,
  };
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  return directory;
}

interface Held {
  child: ChildProcess;
  pid: number;
  output: { stdout: string; stderr: string };
}

/** `create` with a pid file; Node's pipes are sockets, which is the harder case for the holder (conmon's are pipes). They end when it has. */
async function create(id: string, directory: string, input = ''): Promise<Held> {
  const pidFile = join(home, `${id}.pid`);
  const args = ['--root', join(home, 'root'), 'create', '--bundle', directory, '--pid-file', pidFile, id];
  const inputFile = join(home, `${id}.in`);
  await writeFile(inputFile, input);
  const stdin = await open(inputFile);
  const child = spawn(program, args, { env: { SAMPAN_HOME: home }, stdio: [stdin.fd, 'pipe', 'pipe'] });
  await stdin.close();
  const output = { stdout: '', stderr: '' };
  child.stdout!.on('data', (data) => (output.stdout += data));
  child.stderr!.on('data', (data) => (output.stderr += data));
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(code, 0, output.stderr);
  return { child, pid: Number(await readFile(pidFile, 'utf8')), output };
}

const closed = (held: Held) => new Promise((resolve) => held.child.once('close', resolve));
const stateOf = async (id: string) => JSON.parse((await call(['state', id])).stdout);

test('a container is created, started, told of, and deleted; its streams are the caller’s', async () => {
  const held = await create('a', await bundle('a', 'cat; echo out; echo err >&2'), 'in\n');
  assert.deepEqual(
    { ...(await stateOf('a')), created: 0, bundle: 0, rootfs: 0 },
    {
      ociVersion: '1.0.2',
      id: 'a',
      pid: held.pid,
      status: 'created',
      bundle: 0,
      rootfs: 0,
      created: 0,
      annotations: {},
      owner: 'root',
    },
  );
  const ended = closed(held);
  assert.equal((await call(['start', 'a'])).code, 0);
  await ended;
  assert.deepEqual(held.output, { stdout: 'in\nout\n', stderr: 'err\n' });
  assert.deepEqual([(await stateOf('a')).status, (await stateOf('a')).pid], ['stopped', 0]);
  assert.equal((await call(['delete', 'a'])).code, 0);
  assert.match((await call(['state', 'a'])).stderr, /container a does not exist/);
});

test('the holder is as small as a process can be', async () => {
  const held = await create('b', await bundle('b', 'true'));
  const status = await readFile(`/proc/${held.pid}/smaps_rollup`, 'utf8');
  // Not Private_Dirty: pages of a program that was just built are dirty until its file is on the disk.
  const privateKib = Number(/^Anonymous: +(\d+) kB/m.exec(status)?.[1]);
  assert.ok(privateKib < 1024, `${privateKib} KiB are the holder's own`);
});

test('signals sent to the holder reach the container, and a killed holder takes it along', async () => {
  const held = await create(
    'c',
    await bundle('c', 'trap "echo caught" USR1; echo ready; while :; do sleep 0.05; done'),
  );
  await call(['start', 'c']);
  await until('it listens', async () => held.output.stdout === 'ready\n');
  process.kill(held.pid, 'SIGUSR1');
  await until('the signal', async () => held.output.stdout === 'ready\ncaught\n');
  process.kill(held.pid, 'SIGKILL');
  await until('the end', async () => (await stateOf('c')).status === 'stopped');
});

test('the service may be restarted under a holder', async () => {
  const held = await create('d', await bundle('d', 'sleep 1; echo late; exit 3'));
  await call(['start', 'd']);
  await server.close();
  server = await serve();
  await closed(held);
  assert.equal(held.output.stdout, 'late\n');
});

test('what is taken down for good, with the directory of its socket, takes its holders along', async () => {
  const held = await create('left', await bundle('left', 'sleep 300'));
  await call(['start', 'left']);
  await server.close();
  await rm(join(home, 'run'), { recursive: true });
  await closed(held);
  await until('the holder ends', async () => !existsSync(`/proc/${held.pid}`));
  for (const { id } of bundles.list()) await bundles.delete(id, { force: true, withSandbox: true });
  server = await serve();
});

test('a container that was created for a caller who died with the service is taken back', async () => {
  const held = await create('gone', await bundle('gone', 'true'));
  await server.close();
  process.kill(held.pid, 'SIGKILL');
  server = await serve();
  await until('its end', async () => (await call(['list', '-q'])).stdout === '');
});

test('exec runs beside it, with its exit code, its streams and the container’s environment', async () => {
  await create('e', await bundle('e', 'sleep 300'));
  assert.match((await call(['exec', 'e', 'true'])).stderr, /it is created, not running/);
  await call(['start', 'e']);
  const result = await call(['exec', '--env', 'B=2', 'e', '/bin/sh', '-c', 'echo $A$B; echo no >&2; exit 5']);
  assert.deepEqual(result, { code: 5, stdout: '12\n', stderr: 'no\n' });
  const missing = await call(['exec', 'e', '/no/such/program']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /executable file not found/);
  const processFile = join(home, 'process.json');
  await writeFile(processFile, JSON.stringify({ args: ['/bin/sh', '-c', 'exit 9'], cwd: '/' }));
  const pidFile = join(home, 'exec.pid');
  assert.equal((await call(['exec', '--process', processFile, '--detach', '--pid-file', pidFile, 'e'])).code, 0);
  assert.ok(Number(await readFile(pidFile, 'utf8')) > 1);
});

test('kill, pause, resume, ps, events, list and update', async () => {
  await create('f', await bundle('f', 'sleep 300'));
  await call(['start', 'f']);
  assert.equal((await call(['pause', 'f'])).code, 0);
  assert.equal((await stateOf('f')).status, 'paused');
  assert.equal((await call(['resume', 'f'])).code, 0);
  assert.match((await call(['ps', '--format', 'json', 'f'])).stdout, /^\[\d+\]/);
  assert.match((await call(['list'])).stdout, /^ID +PID +STATUS/);
  assert.equal(JSON.parse((await call(['events', '--stats', 'f'])).stdout).type, 'stats');
  assert.equal((await call(['update', '--memory', '1048576', 'f'])).code, 0);
  assert.match((await call(['delete', 'f'])).stderr, /not stopped: running/);
  assert.equal((await call(['kill', 'f', 'SIGKILL'])).code, 0);
  await until('the end', async () => (await stateOf('f')).status === 'stopped');
  assert.match((await call(['kill', 'f', '9'])).stderr, /not running/);
});

test('run is create, start and the wait for its end, of which nothing is left; --detach leaves it to run', async () => {
  const directory = await bundle('run', 'echo "$A ran"; exit 4');
  assert.deepEqual(await call(['run', '--bundle', directory, 'run']), { code: 4, stdout: '1 ran\n', stderr: '' });
  assert.match((await call(['state', 'run'])).stderr, /container run does not exist/);
  const lacking = await bundle('lacking', 'true', { process: { args: ['/no/such/program'], cwd: '/' } });
  const failed = await call(['run', '--bundle', lacking, 'lacking']);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /executable file .*not found/);
  assert.match((await call(['state', 'lacking'])).stderr, /does not exist/);

  const long = await bundle('long', 'sleep 300');
  const script = `exec "$0" --root "${home}/root" run --bundle "${long}" --detach --pid-file "${home}/long.pid" long > /dev/null 2>&1`;
  assert.equal((await command('sh', ['-c', script, program], { env: { SAMPAN_HOME: home } })).code, 0);
  assert.equal((await stateOf('long')).status, 'running');
  assert.equal((await call(['kill', 'long', '0'])).code, 0);
  assert.match((await call(['pause', 'lacking'])).stderr, /container lacking does not exist/);
  assert.equal((await call(['kill', 'long', 'KILL'])).code, 0);
  await until('the end', async () => (await stateOf('long')).status === 'stopped');
  assert.match((await call(['kill', 'long', '0'])).stderr, /not running/);
  assert.match((await call(['pause', 'long'])).stderr, /container long is stopped, not running/);
  assert.match((await call(['--root', '/anywhere', '--version'])).stdout, /^sampan-runtime version/);
});

test('errors stand in the log in the form that was asked for', async () => {
  const log = join(home, 'errors.log');
  const result = await call(['--log', log, '--log-format', 'json', 'start', 'nobody']);
  assert.equal(result.code, 1);
  const line = JSON.parse(await readFile(log, 'utf8'));
  assert.deepEqual([line.level, line.msg], ['error', 'container nobody does not exist']);
});

test('what a machine cannot have is refused by name, and nothing is left', async () => {
  const args = ['create', '--bundle', await bundle('g', 'true', { linux: { namespaces: [] } }), 'g'];
  assert.match((await call(args)).stderr, /linux.namespaces: no network means the host's/);
  const hooks = { createContainer: [{ path: '/bin/true' }] };
  const hooked = await call(['create', '--bundle', await bundle('g', 'true', { hooks }), 'g']);
  assert.match(hooked.stderr, /hooks.createContainer/);
  assert.match((await call(['create', '--preserve-fds', '1', 'g'])).stderr, /preserve-fds is not supported/);
  assert.equal((await call(['list', '-q'])).stdout, '');
});

test('features and spec ask nobody', async () => {
  const features = JSON.parse((await call(['features'])).stdout);
  assert.deepEqual(features.hooks, ['prestart', 'createRuntime', 'startContainer', 'poststart', 'poststop']);
  const directory = join(home, 'spec');
  await mkdir(directory);
  assert.equal((await call(['spec', '--bundle', directory])).code, 0);
  assert.equal(JSON.parse(await readFile(join(directory, 'config.json'), 'utf8')).ociVersion, '1.0.2');
  assert.equal((await call(['spec', '--bundle', directory])).code, 1, 'what is there is not overwritten');
});

// Debian's own: any Python 3 will do, and Node can take no descriptors over a socket.
const python = '/usr/bin/python3';
const ignoreEnds =
  'import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])';
for (const [who, detached, before] of [
  ['a caller’s child', false, []],
  ['what is typed into a shell, which leads its process group', true, []],
  ['the same where nobody wants to hear of ended children', true, [python, '-c', ignoreEnds]],
] as const)
  test(`run in the foreground gives its terminal to a console socket: ${who}`, {
    skip: existsSync(python) ? false : `${python} is missing`,
  }, async () => {
    const id = `console-${detached}-${before.length}`;
    const path = join(home, `${id}.sock`);
    const script = join(import.meta.dirname, '../clients/oci/console.py');
    const console = spawn(python, [script, path, '99', '33'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    console.stdout.on('data', (data) => (said += data));
    await until('it listens', async () => said.includes('listening') || undefined);
    const words = 'read word; echo "heard $word"; exit 9';
    const directory = await bundle(id, words, {
      process: { args: ['/bin/sh', '-c', words], env: ['A=1'], cwd: '/', terminal: true },
    });
    const args = ['--root', join(home, 'root'), 'run', '--bundle', directory, '--console-socket', path, id];
    const [command = program, ...rest] = [...before, program, ...args];
    const child = spawn(command, rest, {
      detached,
      env: { SAMPAN_HOME: home },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const code = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    const size = () => bundles.sizes.some(({ columns, rows }) => columns === 99 && rows === 33) || undefined;
    await Promise.race([until('its size is heard', async () => size()), code]);
    console.stdin.write('typed\n');
    assert.equal(await code, 9);
    await until('its words come', async () => said.includes('heard typed') || undefined);
    bundles.sizes.length = 0;
    console.kill();
  });
