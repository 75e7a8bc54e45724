/** `sampan cri` as a gRPC client of its socket meets it: real VMs, images from a real registry. */
import assert from 'node:assert/strict';
import { readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import WebSocket from 'ws';
import * as cri from '../../src/runtime/generated/cri.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, registryUser, startRegistry } from '../fixtures/images/registry.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';
import { until } from './support/wait.ts';

describe('CRI over its socket', { skip: missingForCri() }, () => {
  let lab: CriLab;
  let registry: Registry;
  let image: string;
  let sandboxId: string;
  let containerId: string;

  before(async () => {
    registry = await startRegistry({ auth: 'basic' });
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('cri');
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
    await registry?.stop();
  });

  const fails = (call: Promise<unknown>, code: status, message: RegExp) =>
    assert.rejects(call, (error: { code: number; details: string }) => {
      assert.deepEqual([error.code, message.test(error.details) ? message : error.details], [code, message]);
      return true;
    });

  it('is open to nobody but its owner', async () => {
    assert.equal((await stat(lab.socketPath)).mode & 0o777, 0o600);
  });

  it('tells what it is and that it is ready', async () => {
    const version = await lab.client.version({});
    assert.deepEqual([version.runtimeName, version.runtimeApiVersion], ['sampan', 'v1']);
    const answer = await lab.client.status({ verbose: true });
    assert.deepEqual(
      answer.status?.conditions?.map(({ type, status }) => [type, status]),
      [
        ['RuntimeReady', true],
        ['NetworkReady', true],
      ],
    );
    assert.ok(answer.runtimeHandlers?.some(({ name }) => name === 'vm'));
    assert.equal((await lab.client.runtimeConfig({})).linux?.cgroupDriver, cri.CgroupDriver.CGROUPFS);
  });

  it('pulls with credentials, and says Unauthenticated or NotFound without', async () => {
    await fails(lab.client.pullImage({ image: { image } }), status.UNAUTHENTICATED, /busybox/);
    await fails(
      lab.client.pullImage({ image: { image: `${registry.host}/cri/nothing:1` }, auth: registryUser }),
      status.NOT_FOUND,
      /nothing/,
    );
    const { imageRef } = await lab.client.pullImage({ image: { image }, auth: registryUser });
    const found = (await lab.client.imageStatus({ image: { image } })).image;
    assert.equal(found?.id, imageRef);
    assert.deepEqual(found?.repoTags, [image]);
    assert.ok(found!.size! > 0n);
    assert.equal((await lab.client.listImages({})).images?.length, 1);
    assert.equal((await lab.client.imageStatus({ image: { image: 'nothing:1' } })).image, undefined);
    const [images] = (await lab.client.imageFsInfo({})).imageFilesystems!;
    assert.ok(images!.usedBytes!.value! > 0n);
  });

  it('runs a Pod and a container in it, and lists both', async () => {
    sandboxId = await lab.sandbox('web', { labels: { app: 'web' } });
    containerId = await lab.container(sandboxId, 'main', {
      image,
      script: 'echo hello; trap "exit 7" TERM; while true; do sleep 0.1; done',
      labels: { part: 'main' },
    });
    const { items } = await lab.client.listPodSandbox({ filter: { labelSelector: { app: 'web' } } });
    assert.deepEqual(
      items?.map(({ id, state }) => [id, state]),
      [[sandboxId, cri.PodSandboxState.SANDBOX_READY]],
    );
    const sandbox = (await lab.client.podSandboxStatus({ podSandboxId: sandboxId })).status!;
    assert.match(sandbox.network!.ip!, /^\d+\.\d+\.\d+\.\d+$/);
    const { containers } = await lab.client.listContainers({ filter: { labelSelector: { part: 'main' } } });
    assert.deepEqual(
      containers?.map(({ id, podSandboxId, state }) => [id, podSandboxId, state]),
      [[containerId, sandboxId, cri.ContainerState.CONTAINER_RUNNING]],
    );
    const none = await lab.client.listContainers({
      filter: { state: { state: cri.ContainerState.CONTAINER_CREATED } },
    });
    assert.equal(none.containers, undefined);
    const streamed: string[] = [];
    for await (const { containers = [] } of lab.client.streamContainers({}))
      streamed.push(...containers.map(({ id }) => id!));
    assert.deepEqual(streamed, [containerId]);
  });

  it('runs commands, with their output, exit code and time', async () => {
    const run = (script: string, timeout = 30n) =>
      lab.client.execSync({ containerId, cmd: ['sh', '-c', script], timeout });
    const answer = await run('echo out; echo err >&2; exit 3');
    assert.deepEqual([String(answer.stdout), String(answer.stderr), answer.exitCode], ['out\n', 'err\n', 3]);
    await fails(run('sleep 60', 1n), status.DEADLINE_EXCEEDED, /did not end within 1 s/);
  });

  it('answers 200 commands at once, each with its own output', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        lab.client.execSync({ containerId, cmd: ['echo', String(index)], timeout: 0n }),
      ),
    );
    assert.deepEqual(
      answers.map(({ stdout }) => String(stdout)),
      answers.map((_, index) => `${index}\n`),
    );
  });

  it('tells statistics and metrics', async () => {
    const { stats } = await lab.client.containerStats({ containerId });
    assert.ok(stats!.cpu!.usageCoreNanoSeconds!.value! > 0n && stats!.memory!.workingSetBytes!.value! > 0n);
    const pods = await lab.client.listPodSandboxStats({});
    assert.deepEqual(
      pods.stats?.map(({ attributes }) => attributes?.id),
      [sandboxId],
    );
    const { descriptors } = await lab.client.listMetricDescriptors({});
    const { podMetrics } = await lab.client.listPodSandboxMetrics({});
    const metrics = [...podMetrics![0]!.metrics!, ...podMetrics![0]!.containerMetrics![0]!.metrics!];
    for (const { name, labelValues } of metrics) {
      const descriptor = descriptors!.find((one) => one.name === name);
      assert.equal(labelValues?.length, descriptor?.labelKeys?.length, name);
    }
    assert.equal(metrics.length, descriptors!.length);
  });

  it('goes on in a new log after a rotation', async () => {
    const log = join(lab.logDirectory('web'), 'main.log');
    assert.match(await readFile(log, 'utf8'), /stdout F hello\n/);
    await rename(log, `${log}.1`);
    await lab.client.reopenContainerLog({ containerId });
    assert.equal(await readFile(log, 'utf8'), '');
  });

  it('updates what a container may use', async () => {
    await lab.client.updateContainerResources({ containerId, linux: { memoryLimitInBytes: 64n << 20n } });
    const { status: found } = await lab.client.containerStatus({ containerId });
    assert.equal(found?.resources?.linux?.memoryLimitInBytes, 64n << 20n);
    const { stdout } = await lab.client.execSync({ containerId, cmd: ['cat', '/sys/fs/cgroup/memory.max'] });
    assert.equal(String(stdout), `${64 << 20}\n`);
  });

  it('refuses by name what it does not serve, and says NotFound of what is not there', async () => {
    await fails(lab.client.checkpointContainer({ containerId }), status.UNIMPLEMENTED, /CheckpointContainer/);
    await fails(
      lab.client.runPodSandbox({ config: lab.sandboxConfig('x'), runtimeHandler: 'nothing' }),
      status.UNIMPLEMENTED,
      /runtime handler "nothing"/,
    );
    await fails(lab.client.containerStatus({ containerId: 'nothing' }), status.NOT_FOUND, /"nothing"/);
    await fails(lab.client.podSandboxStatus({ podSandboxId: 'nothing' }), status.NOT_FOUND, /"nothing"/);
    await fails(lab.client.runPodSandbox({}), status.INVALID_ARGUMENT, /config/);
  });

  it('streams over a URL that is good once', async () => {
    const { url } = await lab.client.exec({ containerId, cmd: ['cat'], stdin: true, stdout: true });
    assert.match(url!, /^http:\/\/127\.0\.0\.1:\d+\/exec\/[\w-]{43}$/);
    const socket = new WebSocket(url!.replace('http', 'ws'), ['v5.channel.k8s.io']);
    const chunks: Buffer[] = [];
    socket.on('message', (data: Buffer) => chunks.push(data));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.send(Buffer.from('\0typed'));
    socket.send(Buffer.from([255, 0]));
    await new Promise((resolve) => socket.once('close', resolve));
    const on = (channel: number) =>
      Buffer.concat(chunks.filter((data) => data[0] === channel).map((data) => data.subarray(1))).toString();
    assert.equal(on(1), 'typed');
    assert.match(on(3), /Success/);
    const again = new WebSocket(url!.replace('http', 'ws'), ['v5.channel.k8s.io']);
    const refusal = await new Promise<{ statusCode?: number }>((resolve) =>
      again.once('unexpected-response', (_, response) => resolve(response)),
    );
    assert.equal(refusal.statusCode, 404);
    again.on('error', () => {});
    again.terminate();
    await fails(lab.client.exec({ containerId, stdout: true }), status.INVALID_ARGUMENT, /no command/);
    await fails(
      lab.client.exec({ containerId, cmd: ['sh'], tty: true, stdout: true, stderr: true }),
      status.INVALID_ARGUMENT,
      /tty/,
    );
  });

  it('gives many terminals at once, and hangs up none of them, whatever the handler', async () => {
    const { runtimeHandlers = [] } = await lab.client.status({});
    const places = [containerId];
    if (runtimeHandlers.some(({ name }) => name === 'namespace')) {
      const config = lab.sandboxConfig('spaces');
      const { podSandboxId } = await lab.client.runPodSandbox({ config, runtimeHandler: 'namespace' });
      places.push(await lab.container(podSandboxId!, 'main', { image, script: 'sleep 1000' }));
    }
    const run = async (container: string) => {
      const cmd = ['sh', '-c', 'sleep 0.2; exit 5'];
      const { url } = await lab.client.exec({ containerId: container, cmd, stdin: true, stdout: true, tty: true });
      const socket = new WebSocket(url!.replace('http', 'ws'), ['v5.channel.k8s.io']);
      let status = '';
      socket.on('message', (data: Buffer) => {
        if (data[0] === 3) status = data.subarray(1).toString();
      });
      await new Promise((resolve) => socket.once('close', resolve));
      return /exit status \d+/.exec(status)?.[0] ?? status;
    };
    const ends = await Promise.all(places.flatMap((place) => Array.from({ length: 24 }, () => run(place))));
    assert.deepEqual([...new Set(ends)], ['exit status 5']);
    for (const id of places.slice(1)) {
      const { containers } = await lab.client.listContainers({ filter: { id } });
      await lab.client.removePodSandbox({ podSandboxId: containers![0]!.podSandboxId });
    }
  });

  it('holds a flood in bounded memory while its client does not read', async () => {
    const { url } = await lab.client.exec({ containerId, cmd: ['cat', '/dev/zero'], stdout: true });
    const memory = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${lab.process.pid}/status`, 'utf8'))?.[1]) / 1024;
    const before = await memory();
    const socket = new WebSocket(url!.replace('http', 'ws'), ['v5.channel.k8s.io']);
    await new Promise((resolve) => socket.once('open', resolve));
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const grown = (await memory()) - before;
    assert.ok(grown < 64, `the process grew by ${grown} MiB`);
    // Others are served meanwhile.
    assert.equal((await lab.client.execSync({ containerId, cmd: ['true'] })).exitCode ?? 0, 0);
    socket.terminate();
  });

  it('after kill -9 finds everything as it is, and goes on', async () => {
    await lab.end('SIGKILL');
    await lab.start();
    const { containers } = await lab.client.listContainers({});
    assert.deepEqual(
      containers?.map(({ id, state }) => [id, state]),
      [[containerId, cri.ContainerState.CONTAINER_RUNNING]],
    );
    assert.equal(String((await lab.client.execSync({ containerId, cmd: ['echo', 'on'] })).stdout), 'on\n');
    assert.equal((await lab.client.listImages({})).images?.length, 1);
  });

  it('tells every change as an event', async () => {
    const events: [string | undefined, number | undefined][] = [];
    const stream = lab.client.getContainerEvents({}) as unknown as NodeJS.EventEmitter & { cancel(): void };
    stream.on('error', () => {});
    stream.on('data', (event: cri.ContainerEventResponse) =>
      events.push([event.containerId, event.containerEventType]),
    );
    // Asked later over the same connection: when it is answered, the subscription stands.
    await lab.client.version({});
    await lab.client.stopContainer({ containerId, timeout: 10n });
    const { status: ended } = await lab.client.containerStatus({ containerId });
    assert.deepEqual([ended?.state, ended?.exitCode], [cri.ContainerState.CONTAINER_EXITED, 7]);
    await lab.client.removeContainer({ containerId });
    const { CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT } = cri.ContainerEventType;
    await until('both events came', async () => events.length >= 2);
    assert.deepEqual(events, [
      [containerId, CONTAINER_STOPPED_EVENT],
      [containerId, CONTAINER_DELETED_EVENT],
    ]);
    stream.cancel();
  });

  it('stops and removes what is stopped and removed already', async () => {
    for (let times = 0; times < 2; times++) {
      await lab.client.stopContainer({ containerId, timeout: 0n });
      await lab.client.removeContainer({ containerId });
      await lab.client.stopPodSandbox({ podSandboxId: sandboxId });
    }
    const { status: stopped } = await lab.client.podSandboxStatus({ podSandboxId: sandboxId });
    assert.equal(stopped?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
    for (let times = 0; times < 2; times++) await lab.client.removePodSandbox({ podSandboxId: sandboxId });
    assert.equal((await lab.client.listPodSandbox({})).items, undefined);
    for (let times = 0; times < 2; times++) await lab.client.removeImage({ image: { image } });
    assert.equal((await lab.client.listImages({})).images, undefined);
  });

  it('ends on SIGTERM and leaves no socket', async () => {
    assert.equal(await lab.end('SIGTERM'), 0);
    await assert.rejects(stat(lab.socketPath), { code: 'ENOENT' });
  });
});
