/** What only Pods of the handler "namespace" have: the host's kernel, and its namespaces where they ask for them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as cri from '../../src/runtime/generated/cri.ts';
import { missingParts, RuntimeLab, smallLinux } from './runtime-lab.ts';
import { CgroupTree } from './support/cgroup-tree.ts';
import { until } from './support/wait.ts';

const skip = missingParts();
const { NODE, POD } = cri.NamespaceMode;
let lab: RuntimeLab;

before(async () => {
  if (!skip) lab = await RuntimeLab.open({ handler: 'namespace' });
});
after(async () => {
  if (!skip) await lab[Symbol.asyncDispose]();
});

/** Runs a script to its end in a Pod of its own: its lines. */
async function linesOf(
  name: string,
  script: string,
  security: cri.LinuxContainerSecurityContext = {},
  annotations: Record<string, string> = {},
): Promise<string[]> {
  const { namespaceOptions } = security;
  const podSandboxId = await lab.sandbox(name, {
    linux: { ...smallLinux, securityContext: namespaceOptions ? { namespaceOptions } : {} },
    annotations,
  });
  const containerId = await lab.started(podSandboxId, script, { linux: { securityContext: security } });
  await lab.exited(containerId);
  const lines = (await lab.log(name)).map((line) => line.replace(/^\w+ [FP] /, ''));
  await lab.runtime.removePodSandbox({ podSandboxId });
  return lines;
}

test('a Pod has the kernel of the host, and a network of its own in which Pods reach each other', {
  skip,
}, async () => {
  const [one, two] = await Promise.all([lab.sandbox('one'), lab.sandbox('two')]);
  const [container] = await Promise.all([one, two].map((id) => lab.started(id, 'sleep 600')));
  const { ip } = (await lab.runtime.podSandboxStatus({ podSandboxId: two })).status?.network ?? {};
  const answer = await lab.exec(container!, `cat /proc/sys/kernel/osrelease; ls /sys/class/net; ping -c 1 -W 5 ${ip}`);
  const release = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
  assert.deepEqual(answer.split('\n').slice(0, 3), [release, 'eth0', 'lo']);
  assert.match(answer, /1 packets received/);
  await Promise.all([one, two].map((podSandboxId) => lab.runtime.removePodSandbox({ podSandboxId })));
});

test('a plain container has none of the host’s devices, a privileged one has them all', { skip }, async () => {
  const script = 'ls /dev/loop-control 2>&1; mkdir /m; mount -t tmpfs x /m 2>/dev/null && echo mounted; true';
  assert.match((await linesOf('plain', script))[0]!, /No such file/);
  assert.deepEqual(await linesOf('privileged', script, { privileged: true }), ['/dev/loop-control', 'mounted']);
});

test('hostNetwork, hostPID and hostIPC are the host’s own, and a Pod without them sees nothing of these', {
  skip,
}, async () => {
  const script = `for kind in net ipc pid; do readlink /proc/self/ns/$kind; done; ls /proc/${process.pid} >/dev/null 2>&1 && echo seen`;
  const ours = await Promise.all(['net', 'ipc', 'pid'].map(async (kind) => readlink(`/proc/self/ns/${kind}`)));
  const host = await linesOf('host', script, { namespaceOptions: { network: NODE, pid: NODE, ipc: NODE } });
  assert.deepEqual(host, [...ours, 'seen']);
  const own = await linesOf('own', script, { namespaceOptions: { network: POD, pid: cri.NamespaceMode.CONTAINER } });
  assert.equal(own.length, 3);
  for (const [index, namespace] of own.entries()) assert.notEqual(namespace, ours[index]);
});

test('a Pod is beneath the control group that it names, which bounds it and is left empty', { skip }, async () => {
  await using tree = await CgroupTree.make();
  const cgroupParent = await tree.add('pod');
  const podSandboxId = await lab.sandbox('beneath', { linux: { ...smallLinux, cgroupParent } });
  const fill = 'dd if=/dev/zero of=/held/file bs=1M count=48';
  const script = `mkdir /held; mount -t tmpfs held /held; sleep 1; ${fill} && echo held; sleep 600`;
  const privileged = { linux: { securityContext: { privileged: true } } };
  const containerId = await lab.started(podSandboxId, script, privileged);
  await until('it holds its memory', async () => (await lab.log('beneath')).join().includes('held'));
  assert.ok((await tree.memoryBytes(cgroupParent)) > 48 * 1024 * 1024);
  const names = (await tree.members(cgroupParent)).map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  assert.ok(names.includes('sleep'), names.join(' '));
  assert.match(await lab.exec(containerId, 'cat /proc/self/cgroup; ls /sys/fs/cgroup'), /\n/);
  await lab.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual([await tree.members(), tree.groups()], [[], ['pod']]);
});

test('network mode none is a loopback alone; what is no mode is refused by name', { skip }, async () => {
  const mode = (value: string) => ({ 'sampan.dev/network-mode': value });
  assert.deepEqual(await linesOf('none', 'ls /sys/class/net', {}, mode('none')), ['lo']);
  const refused = (value: string) =>
    assert.rejects(lab.sandbox(value, { annotations: mode(value) }), { message: new RegExp(value) });
  await refused('macvlan');
  await refused('token-ring');
});

test('a sysctl that would change the host is refused by name; one of the Pod’s own namespaces is set', {
  skip,
}, async () => {
  const sysctl = (name: string, sysctls: Record<string, string>) =>
    lab.sandbox(name, { linux: { ...smallLinux, sysctls } });
  const fine = await sysctl('fine', { 'net.ipv4.ip_unprivileged_port_start': '81' });
  const containerId = await lab.started(fine, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start');
  await lab.exited(containerId);
  assert.deepEqual(await lab.log('fine'), ['stdout F 81']);
  const before = await readFile('/proc/sys/kernel/panic', 'utf8');
  await assert.rejects(sysctl('bad', { 'kernel.panic': '77' }), { reason: 'Unsupported', message: /kernel\.panic/ });
  assert.equal(await readFile('/proc/sys/kernel/panic', 'utf8'), before);
  await lab.runtime.removePodSandbox({ podSandboxId: fine });
});

test('paused, nothing of a machine runs; resumed, it goes on', { skip }, async () => {
  const podSandboxId = await lab.sandbox('still');
  await lab.started(podSandboxId, 'while :; do echo tick; sleep 0.05; done');
  const ticks = async () => (await lab.log('still')).length;
  await until('it ticks', async () => ((await ticks()) > 3 ? true : undefined));
  const machine = (await lab.vmm.find(join(lab.instance.run, 'vm', podSandboxId.slice(0, 24))))!;
  await machine.pause();
  // What it had said before is on its way to the log for a moment yet.
  const before = await until('silence', async () => {
    const count = await ticks();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return (await ticks()) === count ? count : undefined;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(await ticks(), before);
  await machine.resume();
  await until('it ticks again', async () => ((await ticks()) > before + 3 ? true : undefined));
  await machine.pause();
  // What is paused can be removed.
  await lab.runtime.removePodSandbox({ podSandboxId });
});

test('the agent killed, its Pod is told to have ended and nothing of it is left, with the host’s processes too', {
  skip,
}, async () => {
  for (const pid of [POD, NODE]) {
    const name = `killed-${pid}`;
    const securityContext = { namespaceOptions: { pid } };
    const podSandboxId = await lab.sandbox(name, { linux: { ...smallLinux, securityContext } });
    const containerId = await lab.started(podSandboxId, 'exec sleep 4811', { linux: { securityContext } });
    const file = join(lab.instance.run, 'vm', podSandboxId.slice(0, 24), 'pid');
    process.kill(Number((await readFile(file, 'utf8')).split(' ')[0]), 'SIGKILL');
    const status = await lab.exited(containerId);
    assert.equal(status.exitCode, 137);
    const { state } = (await lab.runtime.podSandboxStatus({ podSandboxId })).status ?? {};
    assert.equal(state, cri.PodSandboxState.SANDBOX_NOTREADY);
    await lab.runtime.removePodSandbox({ podSandboxId });
    assert.deepEqual(await lab.traces(), []);
  }
  assert.doesNotMatch(await hostProcesses(), /sleep 4811/);
});

async function hostProcesses(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return (await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))))
    .join('\n')
    .replaceAll('\0', ' ');
}
