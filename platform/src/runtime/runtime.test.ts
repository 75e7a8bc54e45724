import assert from 'node:assert/strict';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, TestWorld } from '../../test/fixtures/runtime/test-world.ts';
import * as cri from './generated/cri.ts';

const { CONTAINER_CREATED, CONTAINER_RUNNING } = cri.ContainerState;
const log = async (world: TestWorld) => {
  const text = await readFile(join(world.directory, 'logs', 'web', 'main', '0.log'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' ').slice(1).join(' '));
};
const collect = async (stream: ReadableStream<Uint8Array>) => {
  let text = '';
  for await (const chunk of stream) text += Buffer.from(chunk).toString();
  return text;
};

test('a Pod runs from sandbox to removal and leaves nothing behind', async () => {
  await using world = await TestWorld.create();
  const { runtime } = world;
  const podSandboxId = await world.sandbox();
  const { status: sandbox } = await runtime.podSandboxStatus({ podSandboxId });
  assert.equal(sandbox?.state, cri.PodSandboxState.SANDBOX_READY);
  assert.equal(sandbox?.network?.ip, '10.127.0.2');

  const containerId = await world.container(podSandboxId, ['say', 'hello', 'world']);
  assert.equal((await world.status(containerId)).state, CONTAINER_CREATED);
  await runtime.startContainer({ containerId });
  const status = await world.exited(containerId);
  assert.equal(status.exitCode, 0);
  assert.equal(status.reason, 'Completed');
  assert.equal(status.startedAt, 5n);
  assert.equal(status.imageId, `sha256:${'a'.repeat(64)}`);
  assert.deepEqual(await log(world), ['stdout F hello world']);

  await runtime.stopPodSandbox({ podSandboxId });
  assert.equal((await runtime.podSandboxStatus({ podSandboxId })).status?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
  await runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(await world.traces(), []);
  await assert.rejects(async () => runtime.podSandboxStatus({ podSandboxId }), { reason: 'NotFound' });
});

test('a machine that waits for room on the host says so in the status of its sandbox, and nobody else can', async () => {
  await using world = await TestWorld.create();
  const waits = 'sampan.dev/waits-for-room';
  const podSandboxId = await world.sandbox('web', { annotations: { [waits]: '/anywhere', own: 'kept' } });
  const annotations = async () => (await world.runtime.podSandboxStatus({ podSandboxId })).status?.annotations;
  assert.deepEqual(await annotations(), { own: 'kept' });
  const [machine] = world.host.machines.values();
  machine!.waitsFor = 'room';
  assert.deepEqual(await annotations(), { own: 'kept', [waits]: join(world.directory, 'home', 'scratch') });
  machine!.waitsFor = undefined;
  assert.deepEqual(await annotations(), { own: 'kept' });
});

test('a container that ends at once was running until its end is dealt with, and is started once', async () => {
  await using world = await TestWorld.create();
  const dealtWith = Promise.withResolvers<void>();
  world.onStep = (step) => (step === 'container-exit' ? dealtWith.promise : undefined);
  const containerId = await world.started(await world.sandbox(), ['say', 'hello']);
  assert.equal((await world.status(containerId)).state, CONTAINER_RUNNING);
  await assert.rejects(world.runtime.startContainer({ containerId }), { reason: 'FailedPrecondition' });
  dealtWith.resolve();
  assert.equal((await world.exited(containerId)).exitCode, 0);
  assert.deepEqual(await log(world), ['stdout F hello']);
});

test('the guest is told who it is', async () => {
  await using world = await TestWorld.create();
  const dnsConfig = { servers: ['10.0.0.10'], searches: ['default.svc'], options: ['ndots:5'] };
  const linux = {
    sysctls: { 'net.core.somaxconn': '9' },
    securityContext: { namespaceOptions: { pid: cri.NamespaceMode.POD } },
  };
  const id = await world.sandbox('web', { dnsConfig, linux });
  await world.container(id, ['sleep']);
  const { setup } = world.guest();
  assert.equal(setup?.hostname, 'web');
  assert.equal(setup?.machineId, id.slice(0, 32));
  assert.equal(setup?.resolvConf, 'search default.svc\nnameserver 10.0.0.10\noptions ndots:5\n');
  assert.equal(setup?.network?.address, '10.127.0.2');
  assert.equal(setup?.sharePidNamespace, true);
  assert.deepEqual(setup?.sysctls, { 'net.core.somaxconn': '9' });
  assert.equal(Buffer.from(setup!.entropy, 'base64').length, 64);
});

test('an image that was hinted is in the machine from the start; another is attached when it is named', async () => {
  await using world = await TestWorld.create();
  const id = await world.sandbox('web', { annotations: { 'sampan.dev/images': '["busybox", "not-here"]' } });
  assert.deepEqual([...world.machine().disks.keys()], ['scratch', 'image0']);
  await world.container(id, ['sleep']);
  assert.ok(!world.guest().calls.includes('bindDisk'));
  const nginx = await world.container(id, ['sleep'], { metadata: { name: 'second' }, image: { image: 'nginx' } });
  assert.deepEqual([...world.machine().disks.keys()], ['scratch', 'image0', 'image1']);
  assert.deepEqual([...world.guest().boundDisks], ['image1']);
  assert.deepEqual(world.guest().containers.get(nginx)?.request.user, { name: 'web:web', supplementalGroups: [] });
  assert.equal(world.host.pins.get(id)?.size, 2);
});

test('exit codes are kept, and a process that cannot be started is a StartError with its words', async () => {
  await using world = await TestWorld.create();
  const id = await world.sandbox();
  const failing = await world.exited(await world.started(id, ['exit', '3']));
  assert.deepEqual([failing.exitCode, failing.reason], [3, 'Error']);
  const broken = await world.container(id, ['broken'], { metadata: { name: 'broken' } });
  await assert.rejects(world.runtime.startContainer({ containerId: broken }), { message: /executable file `broken`/ });
  const status = await world.status(broken);
  assert.deepEqual([status.state, status.exitCode, status.reason], [2, 128, 'StartError']);
  assert.match(status.message ?? '', /executable file `broken` not found/);
  await assert.rejects(async () => world.runtime.startContainer({ containerId: broken }), {
    reason: 'FailedPrecondition',
    message: /is exited, wanted created/,
  });
});

test('out of memory is reported as the guest says it', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['sleep']);
  world.guest().end(containerId, 137, 'OOMKilled');
  const status = await world.exited(containerId);
  assert.deepEqual([status.exitCode, status.reason], [137, 'OOMKilled']);
});

test('stopping sends the stop signal, gives time, then kills; it is idempotent', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['sleep'], { stopSignal: cri.Signal.SIGNAL_SIGUSR1 });
  const before = performance.now();
  await world.runtime.stopContainer({ containerId, timeout: 1n });
  assert.ok(performance.now() - before >= 950);
  assert.deepEqual(world.guest().containers.get(containerId)?.signals, [10, 9]);
  assert.equal((await world.status(containerId)).exitCode, 137);
  await world.runtime.stopContainer({ containerId, timeout: 1n });
  await world.runtime.stopContainer({ containerId: 'none', timeout: 1n });
});

test('a second stop without grace cuts the first one short', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['sleep']);
  const slow = world.runtime.stopContainer({ containerId, timeout: 60n });
  await world.runtime.stopContainer({ containerId, timeout: 0n });
  await slow;
  assert.equal((await world.status(containerId)).exitCode, 137);
});

test('removing kills what runs and forgets it here and in the guest; the log stays', async () => {
  await using world = await TestWorld.create();
  const id = await world.sandbox();
  const containerId = await world.started(id, ['say-and-sleep', 'still', 'here']);
  await eventually(async () => ((await log(world).catch(() => [])).length > 0 ? true : undefined), 'a log line');
  await world.runtime.removeContainer({ containerId });
  await world.runtime.removeContainer({ containerId });
  assert.equal(world.guest().containers.size, 0);
  assert.deepEqual((await world.runtime.listContainers({})).containers, []);
  assert.deepEqual(await log(world), ['stdout F still here']);
  await world.started(id, ['sleep']);
});

test('a name may be used once a sandbox and attempt, a Pod has one sandbox an attempt', async () => {
  await using world = await TestWorld.create();
  const id = await world.sandbox();
  await world.container(id, ['sleep']);
  await assert.rejects(world.container(id, ['sleep']), { reason: 'AlreadyExists' });
  await assert.rejects(world.sandbox(), { reason: 'AlreadyExists' });
  assert.equal((await world.runtime.listPodSandbox({})).items?.length, 1);
  // As in crictl's own examples, where every Pod has the same uid.
  await world.sandbox('other', { metadata: { name: 'other', namespace: 'default', uid: 'uid-web', attempt: 0 } });
});

test('what fails leaves nothing: refused input, a missing image, a guest that refuses', async () => {
  await using world = await TestWorld.create();
  await assert.rejects(world.runtime.runPodSandbox({ config: world.sandboxConfig(), runtimeHandler: 'gvisor' }), {
    reason: 'Unsupported',
    message: /"gvisor"/,
  });
  const id = await world.sandbox();
  await assert.rejects(world.container(id, ['sleep'], { image: { image: 'none' } }), {
    reason: 'NotFound',
    message: /"none"/,
  });
  const both = { hostPath: '/etc', containerPath: '/x', propagation: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL };
  await assert.rejects(world.container(id, ['sleep'], { mounts: [both] }), {
    reason: 'Unsupported',
    message: /Bidirectional/,
  });
  await world.container(id, ['sleep'], { metadata: { name: 'good' } });
  world.guest().failing.set('createContainer', new Error('overlay: no space'));
  await assert.rejects(world.container(id, ['sleep']), { message: 'overlay: no space' });
  world.guest().failing.clear();
  assert.equal((await world.runtime.listContainers({})).containers?.length, 1);
  await world.container(id, ['sleep']);
});

test('a sandbox whose setup the guest refuses fails with the guest’s reason', async () => {
  await using world = await TestWorld.create();
  world.host.guests.prepare = (guest) => {
    guest.failing.set('setup', new Error('sysctl kernel.nonsense does not exist'));
    return guest;
  };
  const id = await world.sandbox();
  await assert.rejects(world.container(id, ['sleep']), { message: /kernel.nonsense/ });
});

test('volumes: files are copied and follow changes, emptyDirs live in the guest, single files come back', async () => {
  await using world = await TestWorld.create();
  const pod = join(world.directory, 'kubelet', 'pods', 'uid-web');
  const config = join(pod, 'volumes', 'kubernetes.io~configmap', 'settings');
  await mkdir(join(config, '..1'), { recursive: true });
  await writeFile(join(config, '..1', 'key'), 'old');
  await symlink('..1', join(config, '..data'));
  await mkdir(join(pod, 'containers', 'main'), { recursive: true });
  const termination = join(pod, 'containers', 'main', 'log-0');
  await writeFile(termination, '');
  const id = await world.sandbox('web', {
    annotations: { 'sampan.dev/volume.cache': '{"medium":"Memory","sizeLimitBytes":1048576}' },
  });
  const mounts = [
    { hostPath: config, containerPath: '/etc/settings', readonly: true },
    { hostPath: join(pod, 'volumes', 'kubernetes.io~empty-dir', 'cache'), containerPath: '/cache' },
    { hostPath: join(pod, 'volumes', 'kubernetes.io~empty-dir', 'data', 'sub'), containerPath: '/data' },
    { hostPath: termination, containerPath: '/dev/termination-log' },
  ];
  const containerId = await world.container(id, ['write', '/dev/termination-log', 'because'], { mounts });
  const { volumes, containers } = world.guest();
  const kinds = [...volumes.values()].map(({ volume }) => [volume.kind, volume.sizeBytes]);
  assert.deepEqual(kinds, [
    ['files', undefined],
    ['tmpfs', 1048576],
    ['disk', undefined],
    ['file', undefined],
  ]);
  assert.equal(containers.get(containerId)?.request.mounts[2]?.subPath, 'sub');
  const content = () => [...volumes.values()][0]?.files.map((file) => atob(file.content ?? ''));
  assert.deepEqual(content(), ['old']);

  await mkdir(join(config, '..2'));
  await writeFile(join(config, '..2', 'key'), 'new');
  await symlink('..2', join(config, '..next'));
  await rename(join(config, '..next'), join(config, '..data'));
  await eventually(async () => (content()?.[0] === 'new' ? true : undefined), 'the new version');

  await world.runtime.startContainer({ containerId });
  await world.exited(containerId);
  assert.equal(await readFile(termination, 'utf8'), 'because');
});

test('the log can be rotated under a container that writes', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['say-and-sleep', 'one']);
  const path = join(world.directory, 'logs', 'web', 'main', '0.log');
  await eventually(async () => ((await log(world)).length > 0 ? true : undefined), 'the first line');
  await rename(path, `${path}.1`);
  await world.runtime.reopenContainerLog({ containerId });
  world.guest().say(containerId, 'two\n');
  await eventually(async () => ((await log(world)).length > 0 ? true : undefined), 'the second line');
  assert.deepEqual(await log(world), ['stdout F two']);
});

test('exec: output, exit code, time-out, and a container that must run', async () => {
  await using world = await TestWorld.create();
  const id = await world.sandbox();
  const containerId = await world.started(id, ['sleep']);
  const answer = await world.runtime.execSync({ containerId, cmd: ['say', 'hi'] });
  assert.deepEqual([Buffer.from(answer.stdout!).toString(), answer.exitCode], ['hi\n', 0]);
  const failed = await world.runtime.execSync({ containerId, cmd: ['exit', '4'], timeout: 5n });
  assert.deepEqual([Buffer.from(failed.stderr!).toString(), failed.exitCode], ['leaving\n', 4]);
  await assert.rejects(world.runtime.execSync({ containerId, cmd: ['sleep'], timeout: 1n }), { reason: 'Timeout' });
  const session = await world.runtime.exec({ containerId, cmd: ['say', 'x'], tty: true });
  assert.equal(session.stderr, undefined);
  assert.equal(session.stdin, undefined);
  assert.deepEqual([await collect(session.stdout), await session.exited], ['x\n', { exitCode: 0 }]);
  const created = await world.container(id, ['sleep'], { metadata: { name: 'other' } });
  await assert.rejects(world.runtime.execSync({ containerId: created, cmd: ['say'] }), {
    reason: 'FailedPrecondition',
    message: /is created, wanted running/,
  });
});

test('attach sees live output, feeds stdin, and ends with the container', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['sleep'], { stdin: true, stdinOnce: true });
  const session = await world.runtime.attach({ containerId, stdin: true, stdout: true, stderr: true });
  const output = collect(session.stdout);
  const writer = session.stdin!.getWriter();
  await writer.write(Buffer.from('typed'));
  await writer.close();
  assert.equal(world.guest().containers.get(containerId)?.stdin, 'typed<end>');
  world.guest().say(containerId, 'live');
  world.guest().end(containerId, 7);
  assert.deepEqual(await session.exited, { exitCode: 7 });
  assert.equal(await output, 'live');
});

test('port-forward reaches a port of the Pod; a closed port and a wrong number are told apart', async () => {
  await using world = await TestWorld.create();
  const id = await world.sandbox();
  const session = await world.runtime.portForward(id, 80);
  assert.equal(await collect(session.stdout), 'HTTP\n');
  await assert.rejects(world.runtime.portForward(id, 81), { reason: 'ServiceUnavailable' });
  await assert.rejects(world.runtime.portForward(id, 0), { reason: 'Invalid' });
});

test('a machine that dies takes its containers along at once, with the reason', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  const containerId = await world.started(podSandboxId, ['sleep']);
  world.machine().die({ kind: 'panicked', message: 'Kernel panic - not syncing: sysrq' });
  const status = await world.exited(containerId);
  assert.deepEqual([status.exitCode, status.reason], [137, 'Error']);
  assert.match(status.message ?? '', /the VM ended: the guest kernel panicked: Kernel panic/);
  const { status: sandbox, info } = await world.runtime.podSandboxStatus({ podSandboxId, verbose: true });
  assert.equal(sandbox?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
  assert.match(info?.info ?? '', /Kernel panic/);
  await assert.rejects(world.container(podSandboxId, ['sleep'], { metadata: { name: 'b' } }), {
    reason: 'FailedPrecondition',
    message: /notready.*Kernel panic/s,
  });
  await world.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(await world.traces(), []);
});

test('an agent connection that breaks is made anew: exits meanwhile are found, no line is lost or doubled', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['say-and-sleep', 'one']);
  await eventually(async () => ((await log(world)).length > 0 ? true : undefined), 'the first line');
  world.guest().say(containerId, 'two, unfinished');
  world.guest().connection!.break('torn');
  world.guest().say(containerId, ' and finished\n');
  world.guest().end(containerId, 5);
  assert.equal((await world.exited(containerId)).exitCode, 5);
  assert.deepEqual(await log(world), ['stdout F one', 'stdout F two, unfinished and finished']);
});

test('an agent that breaks the protocol again and again costs its own Pod the life', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  const containerId = await world.started(podSandboxId, ['sleep']);
  const guest = world.guest();
  const breaking = setInterval(() => guest.connection?.break('agent broke the protocol: bad frame'), 20);
  const status = await world.exited(containerId).finally(() => clearInterval(breaking));
  assert.match(status.message ?? '', /its agent was lost: .*broke the protocol/);
  await eventually(async () => (world.host.machines.size === 0 ? true : undefined), 'the machine to be ended');
});

test('lists are filtered by id, state, labels and sandbox', async () => {
  await using world = await TestWorld.create();
  const web = await world.sandbox('web');
  const db = await world.sandbox('db');
  const running = await world.started(web, ['sleep'], { labels: { tier: 'front' } });
  const created = await world.container(db, ['sleep'], { labels: { tier: 'back' } });
  const ids = async (filter: cri.ContainerFilter) =>
    (await world.runtime.listContainers({ filter })).containers?.map(({ id }) => id);
  assert.deepEqual(await ids({ labelSelector: { tier: 'back' } }), [created]);
  assert.deepEqual(await ids({ state: { state: CONTAINER_RUNNING } }), [running]);
  assert.deepEqual(await ids({ podSandboxId: db }), [created]);
  assert.deepEqual(await ids({ id: running.slice(0, 12) }), [running]);
  const { items } = await world.runtime.listPodSandbox({ filter: { labelSelector: { app: 'db' } } });
  assert.deepEqual(
    items?.map(({ id }) => id),
    [db],
  );
});

test('statistics of containers and sandboxes, the machine’s memory among them', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  const containerId = await world.started(podSandboxId, ['sleep']);
  const { stats } = await world.runtime.containerStats({ containerId });
  assert.equal(stats?.memory?.workingSetBytes?.value, 1000n);
  assert.equal(stats?.attributes?.metadata?.name, 'main');
  const pod = (await world.runtime.podSandboxStats({ podSandboxId })).stats?.linux;
  assert.equal(pod?.memory?.usageBytes?.value, 3000n);
  assert.equal(pod?.memory?.workingSetBytes?.value, 3500n);
  assert.equal(pod?.containers?.length, 1);
  assert.equal((await world.runtime.listContainerStats({})).stats?.length, 1);
  assert.equal((await world.runtime.listPodSandboxStats({})).stats?.length, 1);
});

test('images are answered as CRI has them', async () => {
  await using world = await TestWorld.create();
  const { runtime } = world;
  const { image } = await runtime.imageStatus({ image: { image: 'nginx' } });
  assert.deepEqual([image?.username, image?.uid, image?.size], ['web', undefined, 5n]);
  assert.deepEqual((await runtime.imageStatus({ image: { image: 'none' } })).image, undefined);
  assert.equal((await runtime.pullImage({ image: { image: 'busybox' } })).imageRef, `sha256:${'a'.repeat(64)}`);
  assert.equal((await runtime.listImages({})).images?.length, 2);
  assert.equal((await runtime.imageFsInfo({})).imageFilesystems?.[0]?.usedBytes?.value, 11n);
  const { status, runtimeHandlers, features } = await runtime.status({});
  // What is refused by name must not be offered, and what is served must: kubelet asks for no more.
  for (const { features: served } of runtimeHandlers!)
    assert.deepEqual(served, { recursiveReadOnlyMounts: true, userNamespaces: false });
  assert.deepEqual(features, { supplementalGroupsPolicy: true });
  assert.ok(status?.conditions?.every((condition) => condition.status));
});
