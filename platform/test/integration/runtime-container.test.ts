/** Containers in real machines through the runtime: what a Pod's author sees. One machine serves all tests. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type * as cri from '../../src/runtime/generated/cri.ts';
import { missingParts, needsVm, RuntimeLab, smallShape } from './runtime-lab.ts';
import { until } from './support/wait.ts';

const skip = missingParts();
const mib = 1024n * 1024n;
let lab: RuntimeLab;
/** A sandbox for tests that add a container and go. */
let shared: string;
let count = 0;

before(async () => {
  if (skip) return;
  lab = await RuntimeLab.open();
  await lab.vmm.prepareTemplate(smallShape);
  shared = await lab.sandbox('shared');
});
after(async () => {
  if (!skip) await lab[Symbol.asyncDispose]();
});

/** Runs a script to its end in the shared machine: its lines and its status. */
async function script(text: string, more: Partial<cri.ContainerConfig> = {}) {
  const name = `c${count++}`;
  const containerId = await lab.started(shared, text, { metadata: { name, attempt: 0 }, ...more });
  const status = await lab.exited(containerId);
  const lines = (await lab.log('shared', name)).map((line) => line.replace(/^\w+ [FP] /, ''));
  await lab.runtime.removeContainer({ containerId });
  return { status, lines };
}
const secured = (securityContext: cri.LinuxContainerSecurityContext) => ({ linux: { securityContext } });

test('a container sees the Pod’s name, its environment, its directory and its own processes only', {
  skip,
}, async () => {
  const envs = [{ key: 'GREETING', value: Buffer.from('hallo $X') }];
  const { lines } = await script(
    'hostname; echo $HOSTNAME; echo "$GREETING"; pwd; echo $$; cat /etc/hostname; stty size 2>&1 | head -1; echo $HOME',
    {
      envs,
      workingDir: '/tmp',
    },
  );
  assert.deepEqual(lines.slice(0, 6), ['shared', 'shared', 'hallo $X', '/tmp', '1', 'shared']);
  assert.equal(lines.at(-1), '/root');
});

test('users by number and by name, groups, and no way up with noNewPrivs', { skip }, async () => {
  const id = 'id -u; id -g; id -G';
  assert.deepEqual((await script(id, secured({ runAsUser: { value: 1234n }, supplementalGroups: [5000n] }))).lines, [
    '1234',
    '0',
    '0 5000',
  ]);
  const www = await script(
    `${id}; echo $HOME; grep NoNewPrivs /proc/self/status`,
    secured({ runAsUsername: 'www', noNewPrivs: true }),
  );
  assert.deepEqual([www.lines[0], www.lines[3], www.lines[4]], ['1000', '/home/www', 'NoNewPrivs:\t1']);
});

test('the root is writable unless it is read-only, and the next container sees nothing of it', { skip }, async () => {
  assert.deepEqual((await script('echo x > /made && cat /made')).lines, ['x']);
  assert.match((await script('cat /made 2>&1')).lines[0]!, /No such file/);
  assert.match((await script('echo x 2>&1 > /made', secured({ readonlyRootfs: true }))).lines[0]!, /Read-only/);
});

test('a plain container cannot mount, cannot see kernel memory, and has a 64 MiB /dev/shm', { skip }, async () => {
  const { lines } = await script(
    'mount -t tmpfs x /tmp 2>&1; (wc -c < /proc/kcore) 2>/dev/null || echo 0; df -k /dev/shm | tail -1; ls /dev | wc -l; cat /proc/sys/kernel/hostname',
  );
  assert.match(lines[0]!, /permission denied|not permitted/i);
  assert.equal(lines[1], '0');
  assert.match(lines[2]!, /\s65536\s/);
});

test('the default seccomp profile lets ordinary work be and refuses what it says', { skip }, async () => {
  const { lines, status } = await script(
    'ls / > /dev/null && echo fine; unshare -n true 2>&1 | head -1',
    secured({ seccomp: { profileType: 0 } }),
  );
  assert.equal(status.exitCode, 0);
  assert.equal(lines[0], 'fine');
  assert.match(lines[1]!, /not permitted/);
});

test('a privileged container is root in its machine: mounts, devices, writable kernel settings', {
  skip: skip ?? needsVm,
}, async () => {
  const { lines } = await script(
    'mkdir /m && mount -t tmpfs x /m && echo mounted; ls /dev/vda; echo 1 > /proc/sys/vm/overcommit_memory && echo wrote',
    secured({ privileged: true }),
  );
  assert.deepEqual(lines, ['mounted', '/dev/vda', 'wrote']);
});

test('a command that is not there is a StartError in crun’s words', { skip }, async () => {
  const containerId = await lab.container(shared, '', {
    metadata: { name: 'nothing', attempt: 0 },
    command: ['/no/such/thing'],
  });
  await assert.rejects(lab.runtime.startContainer({ containerId }), { message: /no\/such\/thing/ });
  const status = await lab.status(containerId);
  assert.deepEqual([status.exitCode, status.reason], [128, 'StartError']);
});

test('more memory than the limit is OOMKilled, and the machine lives', { skip }, async () => {
  const linux = { resources: { memoryLimitInBytes: 24n * mib } };
  const { status } = await script('tail /dev/zero', { linux });
  assert.deepEqual([status.exitCode, status.reason], [137, 'OOMKilled']);
  assert.deepEqual((await script('echo alive')).lines, ['alive']);
});

test('limits are the container’s cgroup, and can be changed while it runs', { skip }, async () => {
  const linux = { resources: { memoryLimitInBytes: 32n * mib, cpuQuota: 20_000n, cpuPeriod: 100_000n } };
  const containerId = await lab.started(shared, 'sleep 600', { metadata: { name: 'limited', attempt: 0 }, linux });
  // In a VM the guest has version 2; on the host it is what the host has.
  const isVersion2 = (await lab.exec(containerId, 'ls /sys/fs/cgroup')).includes('cgroup.procs');
  const files = isVersion2 ? ['memory.max', 'cpu.max'] : ['memory/memory.limit_in_bytes', 'cpu/cpu.cfs_quota_us'];
  const limits = () => lab.exec(containerId, `cd /sys/fs/cgroup; cat ${files.join(' ')}`);
  const quota = isVersion2 ? '20000 100000' : '20000';
  assert.equal(await limits(), `${32n * mib}\n${quota}\n`);
  await lab.runtime.updateContainerResources({ containerId, linux: { memoryLimitInBytes: 48n * mib } });
  assert.equal(await limits(), `${48n * mib}\n${quota}\n`);
  const { stats } = await lab.runtime.containerStats({ containerId });
  assert.ok(Number(stats?.memory?.workingSetBytes?.value) > 0);
  await lab.runtime.removeContainer({ containerId });
});

test('stopping: a process that listens ends in its own way, one that does not is killed', { skip }, async () => {
  const metadata = { name: 'polite', attempt: 0 };
  const polite = await lab.started(shared, 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.1; done', {
    metadata,
  });
  await until('the trap is set', async () => ((await lab.log('shared', 'polite')).length > 0 ? true : undefined));
  await lab.runtime.stopContainer({ containerId: polite, timeout: 30n });
  assert.equal((await lab.status(polite)).exitCode, 5);
  assert.equal((await lab.log('shared', 'polite')).at(-1), 'stdout F bye');
  const deaf = await lab.started(shared, 'trap "" TERM; sleep 600', { metadata: { name: 'deaf', attempt: 0 } });
  await lab.runtime.stopContainer({ containerId: deaf, timeout: 1n });
  assert.equal((await lab.status(deaf)).exitCode, 137);
});

test('exec: output, exit code, terminal, stdin, time-out', { skip }, async () => {
  const containerId = await lab.started(shared, 'sleep 600', {
    metadata: { name: 'target', attempt: 0 },
    envs: [{ key: 'A', value: Buffer.from('1') }],
  });
  const answer = await lab.runtime.execSync({ containerId, cmd: ['sh', '-c', 'echo $A; echo e >&2; exit 7'] });
  assert.deepEqual(
    [String(Buffer.from(answer.stdout!)), String(Buffer.from(answer.stderr!)), answer.exitCode],
    ['1\n', 'e\n', 7],
  );
  await assert.rejects(lab.runtime.execSync({ containerId, cmd: ['sleep', '60'], timeout: 1n }), { reason: 'Timeout' });
  await using session = await lab.runtime.exec({
    containerId,
    cmd: ['sh', '-c', 'stty size; cat'],
    tty: true,
    stdin: true,
  });
  await session.resize(90, 33);
  const writer = session.stdin!.getWriter();
  const output = text(session.stdout);
  await writer.write(Buffer.from('typed\n\u0004'));
  assert.deepEqual(await session.exited, { exitCode: 0 });
  assert.match(await output, /typed/);
  const pipe = await lab.runtime.exec({ containerId, cmd: ['wc', '-c'], stdin: true });
  const feed = pipe.stdin!.getWriter();
  const counted = text(pipe.stdout);
  for (let sent = 0; sent < 8; sent++) await feed.write(new Uint8Array(100_000));
  await feed.close();
  assert.equal((await counted).trim(), '800000');
  await lab.runtime.removeContainer({ containerId });
});

test('attach: stdin and live output of the container itself', { skip }, async () => {
  const metadata = { name: 'cat', attempt: 0 };
  const containerId = await lab.started(shared, 'cat; echo done', { metadata, stdin: true, stdinOnce: true });
  const session = await lab.runtime.attach({ containerId, stdin: true, stdout: true });
  const output = text(session.stdout);
  const writer = session.stdin!.getWriter();
  await writer.write(Buffer.from('through the container\n'));
  await writer.close();
  assert.deepEqual(await session.exited, { exitCode: 0 });
  assert.equal(await output, 'through the container\ndone\n');
  assert.deepEqual(await lab.log('shared', 'cat'), ['stdout F through the container', 'stdout F done']);
});

test('port-forward reaches a server on the Pod’s loopback', { skip }, async () => {
  const metadata = { name: 'server', attempt: 0 };
  const containerId = await lab.started(shared, 'echo served > /index.html; exec httpd -f -p 127.0.0.1:8080 -h /', {
    metadata,
  });
  await until(
    'the server answers',
    async () => (await lab.exec(containerId, 'wget -qO- 127.0.0.1:8080 || true')).includes('served') || undefined,
  );
  const session = await lab.runtime.portForward(shared, 8080);
  const writer = session.stdin!.getWriter();
  await writer.write(Buffer.from('GET /index.html HTTP/1.0\r\n\r\n'));
  assert.match(await text(session.stdout), /200 OK[\s\S]*served/);
  await assert.rejects(lab.runtime.portForward(shared, 8081), { reason: 'ServiceUnavailable' });
  await lab.runtime.removeContainer({ containerId });
});

test('a container with a terminal: its size, typing, and the log', { skip }, async () => {
  const metadata = { name: 'tty', attempt: 0 };
  const containerId = await lab.started(shared, 'echo $TERM; read line; stty size; echo "got $line"', {
    metadata,
    tty: true,
    stdin: true,
  });
  const session = await lab.runtime.attach({ containerId, stdin: true, stdout: true, tty: true });
  assert.equal(session.stderr, undefined);
  await until('the first line', async () => ((await lab.log('shared', 'tty')).length > 0 ? true : undefined));
  await session.resize(101, 37);
  const writer = session.stdin!.getWriter();
  await writer.write(Buffer.from('typed\n'));
  assert.equal((await session.exited).exitCode, 0);
  const lines = (await lab.log('shared', 'tty')).map((line) => line.replace(/^stdout F /, '').trim());
  assert.equal(lines[0], 'xterm');
  assert.deepEqual(lines.slice(-2), ['37 101', 'got typed']);
});

async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += Buffer.from(chunk).toString();
  return all;
}
