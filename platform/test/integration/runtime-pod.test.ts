/** Pods in real machines through the runtime: what a machine of its own means. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../../src/base/child.ts';
import * as cri from '../../src/runtime/generated/cri.ts';
import { missingParts, needsVm, RuntimeLab, smallLinux, smallShape } from './runtime-lab.ts';
import { until } from './support/wait.ts';

const skip = missingParts();
let lab: RuntimeLab;

before(async () => {
  if (skip) return;
  lab = await RuntimeLab.open();
  await lab.vmm.prepareTemplate(smallShape);
});
after(async () => {
  if (!skip) await lab[Symbol.asyncDispose]();
});

test('a Pod runs in a machine of its own, its exit code and log are kept, and nothing is left behind', {
  skip,
}, async () => {
  const podSandboxId = await lab.sandbox('whole');
  const containerId = await lab.started(podSandboxId, 'echo out; echo err >&2; printf tail; exit 3');
  const status = await lab.exited(containerId);
  assert.deepEqual([status.exitCode, status.reason], [3, 'Error']);
  assert.ok(status.startedAt! > 0n && status.finishedAt! >= status.startedAt!);
  assert.ok(Math.abs(Number(status.startedAt! / 1_000_000n) - Date.now()) < 60_000, 'the guest knows the time');
  assert.deepEqual((await lab.log('whole')).sort(), ['stderr F err', 'stdout F out', 'stdout P tail']);
  await lab.runtime.removePodSandbox({ podSandboxId });
  const traces = (await lab.traces()).filter((name) => name.includes(podSandboxId.slice(0, 12)));
  assert.deepEqual(traces, []);
});

test('volumes: live configMap, emptyDirs of both kinds shared by containers, termination log back on the host', {
  skip,
}, async () => {
  const pod = join(lab.instance.home, 'pods', 'uid-volumes');
  const config = join(pod, 'volumes', 'kubernetes.io~configmap', 'settings');
  const empty = (name: string) => join(pod, 'volumes', 'kubernetes.io~empty-dir', name);
  await mkdir(join(config, '..1'), { recursive: true });
  await writeFile(join(config, '..1', 'key'), 'old');
  await symlink('..1', join(config, '..data'));
  await mkdir(join(pod, 'containers', 'main'), { recursive: true });
  const message = join(pod, 'containers', 'main', 'log-0');
  await writeFile(message, '');
  const annotations = {
    'sampan.dev/volume.fast': '{"medium":"Memory","sizeLimitBytes":1048576}',
    'sampan.dev/images': JSON.stringify([lab.imageId]),
  };
  const podSandboxId = await lab.sandbox('volumes', { annotations });
  const mounts = [
    { hostPath: config, containerPath: '/etc/settings', readonly: true },
    { hostPath: empty('fast'), containerPath: '/fast' },
    { hostPath: join(empty('slow'), 'sub'), containerPath: '/slow' },
    { hostPath: message, containerPath: '/dev/termination-log' },
  ];
  const first = await lab.started(
    podSandboxId,
    'cat /etc/settings/key; echo; echo x 2>&1 > /etc/settings/new; df -k /fast | tail -1; echo kept > /slow/file; until grep -q new /etc/settings/key; do sleep 0.1; done; echo changed; echo because > /dev/termination-log',
    { mounts },
  );
  await until('the first line', async () => ((await lab.log('volumes')).length > 2 ? true : undefined));
  await mkdir(join(config, '..2'));
  await writeFile(join(config, '..2', 'key'), 'new');
  await symlink('..2', join(config, '..next'));
  await rename(join(config, '..next'), join(config, '..data'));
  assert.equal((await lab.exited(first)).exitCode, 0);
  const lines = (await lab.log('volumes')).map((line) => line.slice('stdout F '.length));
  assert.equal(lines[0], 'old');
  assert.match(lines[1]!, /Read-only/);
  assert.match(lines[2]!, /\s1024\s/);
  assert.equal(lines[3], 'changed');
  assert.equal(await readFile(message, 'utf8'), 'because\n');
  const second = await lab.started(podSandboxId, 'cat /all/sub/file', {
    metadata: { name: 'second', attempt: 0 },
    mounts: [{ hostPath: empty('slow'), containerPath: '/all' }],
  });
  await lab.exited(second);
  assert.deepEqual(await lab.log('volumes', 'second'), ['stdout F kept']);
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('a full disk under the log holds the container up, and no line is lost when there is room again', {
  skip,
}, async (t) => {
  const directory = lab.logDirectory('full');
  await mkdir(directory, { recursive: true });
  // On the host's own kernel one piece of output is larger than what holds a VM up, and the log takes a piece whole or not at all.
  const size = needsVm ? '1m' : '64k';
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'sampan-test', directory]);
  t.after(() => run('umount', ['-l', directory]));
  const podSandboxId = await lab.sandbox('full');
  // Several times what pipe, agent and our process hold between container and log.
  const count = needsVm ? 400_000 : 100_000;
  const lines = `awk 'BEGIN { for (i = 0; i < ${count}; i++) print "line " i }'`;
  const containerId = await lab.started(podSandboxId, lines);
  await until('the disk is full', async () => ((await lab.log('full')).length > 500 ? true : undefined));
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assert.equal((await lab.status(containerId)).state, cri.ContainerState.CONTAINER_RUNNING);
  await run('mount', ['-o', 'remount,size=64m', directory]);
  assert.equal((await lab.exited(containerId)).exitCode, 0);
  await until('the last line', async () =>
    (await lab.log('full')).at(-1) === `stdout F line ${count - 1}` ? true : undefined,
  );
  for (const [index, line] of (await lab.log('full')).entries()) assert.equal(line, `stdout F line ${index}`);
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('a fork bomb stays in its container: the machine answers, and the container can be ended', { skip }, async () => {
  const podSandboxId = await lab.sandbox('bomb');
  const bomb = await lab.started(podSandboxId, 'f() { f | f & }; f; sleep 600');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const other = await lab.started(podSandboxId, 'echo alive', { metadata: { name: 'other', attempt: 0 } });
  await lab.exited(other);
  assert.deepEqual(await lab.log('bomb', 'other'), ['stdout F alive']);
  await lab.runtime.stopContainer({ containerId: bomb, timeout: 0n });
  assert.equal((await lab.status(bomb)).exitCode, 137);
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('processes are shared when the Pod says so', { skip }, async () => {
  const shares = { namespaceOptions: { pid: cri.NamespaceMode.POD } };
  const podSandboxId = await lab.sandbox('together', { linux: { ...smallLinux, securityContext: shares } });
  await lab.started(podSandboxId, 'exec sleep 4711', { linux: { securityContext: shares } });
  const other = await lab.started(podSandboxId, 'ps | grep -c "[s]leep 4711"', {
    metadata: { name: 'b', attempt: 0 },
    linux: { securityContext: shares },
  });
  await lab.exited(other);
  assert.deepEqual(await lab.log('together', 'b'), ['stdout F 1']);
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('a debug container sees the processes of its target, and of no other', { skip }, async () => {
  const podSandboxId = await lab.sandbox('debug');
  const targetId = await lab.started(podSandboxId, 'exec sleep 4711');
  await lab.started(podSandboxId, 'exec sleep 4712', { metadata: { name: 'other', attempt: 0 } });
  const namespaceOptions = { pid: cri.NamespaceMode.TARGET, targetId };
  const debug = await lab.started(podSandboxId, 'ps | grep "[s]leep 471"; cat /proc/1/root/etc/passwd | head -1', {
    metadata: { name: 'debug', attempt: 0 },
    linux: { securityContext: { namespaceOptions, capabilities: { addCapabilities: ['SYS_PTRACE'] } } },
  });
  await lab.exited(debug);
  const lines = (await lab.log('debug', 'debug')).map((line) => line.slice('stdout F '.length));
  assert.match(lines[0]!, /sleep 4711/);
  assert.equal(lines.length, 2);
  assert.match(lines[1]!, /^root:/);
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('an image that was not hinted is attached to the running machine', { skip }, async () => {
  const podSandboxId = await lab.sandbox('late', { annotations: {} });
  const containerId = await lab.started(podSandboxId, 'echo attached');
  await lab.exited(containerId);
  assert.deepEqual(await lab.log('late'), ['stdout F attached']);
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('two Pods of one template share no identity, and reach each other', { skip: skip ?? needsVm }, async () => {
  const [one, two] = await Promise.all([lab.sandbox('one'), lab.sandbox('two')]);
  const look =
    'cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | hexdump -C | head -1; ip -4 -o addr show scope global; sleep 600';
  const containers = await Promise.all([one, two].map((id) => lab.started(id, look)));
  const [first, second] = await Promise.all(
    ['one', 'two'].map((name) =>
      until('three lines', async () => {
        const lines = await lab.log(name);
        return lines.length >= 3 ? lines : undefined;
      }),
    ),
  );
  for (let line = 0; line < 3; line++) assert.notEqual(first![line], second![line]);
  const address = (await lab.runtime.podSandboxStatus({ podSandboxId: two })).status?.network?.ip;
  assert.match(await lab.exec(containers[0]!, `ping -c 1 -W 5 ${address}`), /1 packets received/);
  await Promise.all([one, two].map((podSandboxId) => lab.runtime.removePodSandbox({ podSandboxId })));
});

test('a guest that panics ends its own Pod, with the reason, and no other', { skip: skip ?? needsVm }, async () => {
  const bystander = await lab.sandbox('bystander');
  const podSandboxId = await lab.sandbox('panic');
  const containerId = await lab.started(podSandboxId, 'sleep 0.2; echo c > /proc/sysrq-trigger; sleep 60', {
    linux: { securityContext: { privileged: true } },
  });
  const status = await lab.exited(containerId);
  assert.deepEqual([status.exitCode, status.reason], [137, 'Error']);
  assert.match(status.message ?? '', /the VM ended: /);
  assert.equal(
    (await lab.runtime.podSandboxStatus({ podSandboxId })).status?.state,
    cri.PodSandboxState.SANDBOX_NOTREADY,
  );
  await lab.runtime.removePodSandbox({ podSandboxId });
  await lab.started(bystander, 'echo alive', { metadata: { name: 'after', attempt: 0 } });
  await until('the other Pod to speak', async () =>
    (await lab.log('bystander', 'after')).length > 0 ? true : undefined,
  );
  await lab.runtime.removePodSandbox({ podSandboxId: bystander });
});
