/** Directories of the host in Pods, through the runtime: what a kubelet, or our node, asks for in CRI's words. For both handlers (virtiofs-namespace.test.ts). */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as cri from '../../src/runtime/generated/cri.ts';
import { missingParts as missingRuntime, RuntimeLab, testHandler } from './runtime-lab.ts';
import { mountShared } from './support/shared-mount.ts';
import { until } from './support/wait.ts';
import { missingParts, serverProcesses } from './virtiofs-lab.ts';

const skip = missingRuntime() ?? missingParts();
const onHost = testHandler === 'namespace' && 'on the host there is no server of files and no machine to exchange';
const annotations = { 'sampan.dev/host-mounts': 'true' };
let lab: RuntimeLab;
let home: string;
/** Directories that Pods mount; on a disk, as hosts' are. */
let host: string;

before(async () => {
  if (skip) return;
  host = await mkdtemp('/var/tmp/sampan-virtiofs-host-');
  home = await mkdtemp('/tmp/sampan-virtiofs-');
  lab = await RuntimeLab.open({ home });
});
after(async () => {
  if (skip) return;
  await lab[Symbol.asyncDispose]();
  await rm(host, { recursive: true });
  assert.equal(existsSync(home), false);
});

const named = (name: string) => ({ metadata: { name, attempt: 0 } });
const output = async (pod: string, name = 'main') =>
  (await lab.log(pod, name)).map((line) => line.replace(/^\w+ [FP] /, ''));
const shareOf = (sandboxId: string) => join(lab.instance.run, 'shares', sandboxId.slice(0, 24));
const removed = async (podSandboxId: string) => {
  await lab.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(serverProcesses(shareOf(podSandboxId)), []);
  assert.equal(existsSync(shareOf(podSandboxId)), false);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(host), false, 'no mount of it was ever here');
};

test('containers of an annotated Pod share directories and files with the host, and go on when the server comes back', {
  skip,
}, async () => {
  await mkdir(join(host, 'data/deep'), { recursive: true });
  await mkdir(join(host, 'later'));
  await writeFile(join(host, 'data/file'), 'of the host\n');
  await symlink('data', join(host, 'alias'));
  const podSandboxId = await lab.sandbox('annotated', { annotations });
  const { PROPAGATION_HOST_TO_CONTAINER } = cri.MountPropagation;
  const mounts = [
    { hostPath: join(host, 'data'), containerPath: '/data' },
    { hostPath: join(host, 'alias'), containerPath: '/alias', readonly: true },
    { hostPath: join(host, 'data/file'), containerPath: '/etc/one', readonly: true },
    { hostPath: join(host, 'made/by/us'), containerPath: '/made' },
    { hostPath: join(host, 'later'), containerPath: '/later', propagation: PROPAGATION_HOST_TO_CONTAINER },
  ];
  const first = await lab.started(
    podSandboxId,
    'cat /data/file /alias/file /etc/one; touch /alias/no; echo made > /made/file; chown 12:34 /made/file; until [ -e /data/go ]; do sleep 0.1; done; cat /data/go; sleep 600',
    { mounts },
  );
  await until('it waits', async () => (existsSync(join(host, 'made/by/us/file')) ? true : undefined));
  await lab.close();
  lab = await RuntimeLab.open({ home });
  // Whole at once: a guest that sees a file while it is empty believes for a second that it is (decision 0019).
  await writeFile(join(host, 'go'), 'go on\n');
  await rename(join(host, 'go'), join(host, 'data/go'));
  await until('it goes on', async () => ((await output('annotated')).includes('go on') ? true : undefined));
  // What is said to one stream may come before what was said to the other.
  const lines = (await output('annotated')).filter((line) => line !== 'go on').sort();
  assert.match(lines[3]!, /\/alias\/no: Read-only file system/);
  assert.deepEqual(lines.slice(0, 3), Array(3).fill('of the host'));

  const second = await lab.started(podSandboxId, 'cat /x/go; ls /y', {
    ...named('second'),
    mounts: [
      { hostPath: join(host, 'data'), containerPath: '/x' },
      { hostPath: join(host, 'made'), containerPath: '/y', readonly: true },
    ],
  });
  assert.equal((await lab.exited(second)).exitCode, 0);
  assert.deepEqual(await output('annotated', 'second'), ['go on', 'by']);
  assert.equal((await lab.status(first)).state, cri.ContainerState.CONTAINER_RUNNING);
  assert.match(await lab.exec(first, 'ls -ln /made/file'), / 12 +34 /);
  await removed(podSandboxId);
  assert.deepEqual(await readdir(join(host, 'data')), ['deep', 'file', 'go']);
});

test('what the host mounts later appears in a container that asked to follow, and in no other', { skip }, async () => {
  const tree = join(host, 'tree');
  await mkdir(join(tree, 'below'), { recursive: true });
  mountShared(tree);
  try {
    const podSandboxId = await lab.sandbox('follower', { annotations });
    const propagation = cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER;
    const id = await lab.started(podSandboxId, 'sleep 600', {
      mounts: [
        { hostPath: tree, containerPath: '/follows', propagation },
        { hostPath: tree, containerPath: '/stays' },
      ],
    });
    execFileSync('mount', ['-t', 'tmpfs', 'later', join(tree, 'below')]);
    await writeFile(join(tree, 'below/new'), 'came later\n');
    assert.equal(await lab.exec(id, 'cat /follows/below/new; ls /stays/below'), 'came later\n');
    await lab.runtime.removePodSandbox({ podSandboxId });
  } finally {
    execFileSync('umount', ['-R', '-l', tree]);
  }
});

test('without the annotation the first container gets another machine with the same network; a later one is refused by name', {
  skip: skip || onHost,
}, async () => {
  await writeFile(join(host, 'note'), 'noted\n');
  const mounts = [{ hostPath: join(host, 'note'), containerPath: '/note' }];
  const podSandboxId = await lab.sandbox('plain');
  const address = (await lab.runtime.podSandboxStatus({ podSandboxId })).status?.network?.ip;
  const id = await lab.started(podSandboxId, 'cat /note; ip -4 addr show eth0; sleep 600', { mounts });
  await until('its address', async () => ((await output('plain')).length > 2 ? true : undefined));
  const lines = await output('plain');
  assert.equal(lines[0], 'noted');
  assert.ok(lines.join().includes(`inet ${address}/`), lines.join('\n'));
  assert.equal((await lab.status(id)).state, cri.ContainerState.CONTAINER_RUNNING);
  await removed(podSandboxId);

  const used = await lab.sandbox('used');
  await lab.started(used, 'sleep 600');
  await assert.rejects(lab.container(used, 'true', { ...named('late'), mounts }), {
    reason: 'FailedPrecondition',
    message: /note: the machine of Pod lab\/used .* sampan.dev\/host-mounts: "true"/,
  });
  await removed(used);
});

test('a sub path is resolved in the volume, whoever made links in it; what no guest can reach is refused by name', {
  skip,
}, async () => {
  await mkdir(join(host, 'volume/part'), { recursive: true });
  await writeFile(join(host, 'secret'), 'of the host\n');
  await symlink(host, join(host, 'volume/link'));
  await symlink('../..', join(host, 'volume/up'));
  const podSandboxId = await lab.sandbox('parts', { annotations });
  const part = (subPath: string, containerPath: string) => ({
    hostPath: `${join(host, 'volume')}/./${subPath}`,
    containerPath,
  });
  const id = await lab.started(podSandboxId, 'touch /a/here /b/new; ls /up', {
    mounts: [part('part', '/a'), part('not/there', '/b'), part('up', '/up')],
  });
  await lab.exited(id);
  assert.deepEqual(await output('parts'), ['link', 'not', 'part', 'up'], 'as far up as the volume');
  assert.deepEqual(await readdir(join(host, 'volume/part')), ['here']);
  assert.deepEqual(await readdir(join(host, 'volume/not/there')), ['new']);
  const linked = await lab
    .started(podSandboxId, 'cat /l/secret 2>&1', { ...named('linked'), mounts: [part('link', '/l')] })
    .then(
      (each) => lab.exited(each),
      () => undefined,
    );
  if (linked) assert.notEqual(linked.exitCode, 0);

  const socket = createServer().listen(join(host, 'socket'));
  await new Promise((resolve) => socket.once('listening', resolve));
  const special = [
    { hostPath: join(host, 'socket'), containerPath: '/s' },
    { hostPath: '/dev/null', containerPath: '/n' },
  ];
  if (onHost) {
    const script = 'test -S /s && echo said >/n && test -c /n && echo both';
    await lab.exited(await lab.started(podSandboxId, script, { ...named('special'), mounts: special }));
    assert.deepEqual(await output('parts', 'special'), ['both']);
  }
  const refusals: [cri.Mount, RegExp][] = onHost
    ? []
    : special.map((mount) => [mount, new RegExp(`${mount.hostPath} is neither a directory nor a file`)]);
  // On the host's own kernel mounts can go both ways.
  const bidirectional = cri.MountPropagation.PROPAGATION_BIDIRECTIONAL;
  if (!onHost) refusals.push([{ hostPath: host, containerPath: '/b', propagation: bidirectional }, /Bidirectional/]);
  for (const [mount, message] of refusals)
    await assert.rejects(lab.container(podSandboxId, 'true', { ...named('refused'), mounts: [mount] }), {
      reason: 'Unsupported',
      message,
    });
  socket.close();
  await removed(podSandboxId);
});

test('when the server of its files dies, the Pod ends and says why', { skip: skip || onHost }, async () => {
  const podSandboxId = await lab.sandbox('bereft', { annotations });
  const mounts = [{ hostPath: host, containerPath: '/host' }];
  const id = await lab.started(podSandboxId, 'while true; do cat /host/* > /dev/null 2>&1; done', { mounts });
  process.kill(serverProcesses(shareOf(podSandboxId))[0]!, 'SIGKILL');
  assert.equal((await lab.exited(id)).exitCode, 137);
  const { status } = await lab.runtime.podSandboxStatus({ podSandboxId });
  assert.equal(status?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
  assert.match((await lab.status(id)).message ?? '', /the file server of share host ended/);
  await removed(podSandboxId);
});

test('killed while it exchanges a machine, the next server finds a Pod that is not ready and nothing of it is left', {
  skip: skip || onHost,
}, async () => {
  await writeFile(join(host, 'kept'), 'of the host\n');
  await lab.close();
  for (const step of ['shares-exchange', 'shares-machine']) {
    const victim = spawn(process.execPath, [join(import.meta.dirname, 'virtiofs-victim.ts'), home, step, host], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const words: Buffer[] = [];
    victim.stderr.on('data', (data: Buffer) => words.push(data));
    const [, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      victim.once('exit', (...how) => resolve(how)),
    );
    assert.equal(signal, 'SIGKILL', Buffer.concat(words).toString());
    lab = await RuntimeLab.open({ home });
    const { items = [] } = await lab.runtime.listPodSandbox({});
    assert.equal(items.length, 1);
    const { status } = await lab.runtime.podSandboxStatus({ podSandboxId: items[0]!.id });
    if (step === 'shares-machine') assert.equal(status?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
    else {
      // Nothing had been done to the old machine yet: it is exchanged when the next container asks.
      const mounts = [{ hostPath: join(host, 'kept'), containerPath: '/note' }];
      const id = await lab.started(items[0]!.id!, 'cat /note', { mounts });
      assert.equal((await lab.exited(id)).exitCode, 0);
    }
    await removed(items[0]!.id!);
    assert.deepEqual(await lab.traces(), []);
    await lab.close();
  }
  lab = await RuntimeLab.open({ home });
  assert.equal(execFileSync('ls', [join(lab.instance.run, 'shares')], { encoding: 'utf8' }), '');
  assert.equal(await readFile(join(host, 'kept'), 'utf8'), 'of the host\n');
});
