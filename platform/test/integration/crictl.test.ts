/** A user's walk with the unmodified crictl, under both handlers: from pulling an image to removing it. `npm run critest` builds crictl too. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binaryOf } from '../../../tools/critest/go-programs.ts';
import { freePort } from '../fixtures/free-port.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { command } from './support/command.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';
import { until } from './support/wait.ts';

const crictl = binaryOf('crictl');
const unbuilt = !existsSync(crictl) && 'crictl is not built: npm run critest builds it, in some minutes';

describe('crictl', { skip: missingForCri() ?? unbuilt }, () => {
  let lab: CriLab;
  let registry: Registry;
  let image: string;
  const running: ChildProcess[] = [];

  before(async () => {
    registry = await startRegistry({});
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('crictl');
  });
  after(async () => {
    for (const child of running) child.kill('SIGKILL');
    await lab?.[Symbol.asyncDispose]();
    await registry?.stop();
  });

  const endpoint = () => ['--runtime-endpoint', `unix://${lab.socketPath}`, '--timeout', '60s'];
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await command(crictl, [...endpoint(), ...args], { timeoutMs: 60_000 });
    assert.equal(code, 0, `crictl ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  const json = async (name: string, ...args: string[]) => JSON.parse(await run(name, '-o', 'json', ...args));

  /** What a command in the background has said so far; it gets `input` typed. */
  function begin(args: string[], input = ''): { child: ChildProcess; said: () => string } {
    const child = spawn(args[0]!, args.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    running.push(child);
    let said = '';
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (said += chunk));
    child.stdin!.on('error', () => {});
    child.stdin!.write(input);
    return { child, said: () => said };
  }
  const says = (what: string, said: () => string, wanted: RegExp) =>
    until(
      `${what} says ${wanted}, not ${said().slice(-300)}`,
      async () => (wanted.test(said()) ? true : undefined),
      30_000,
    );

  for (const handler of ['vm', 'namespace'])
    it(`walks from pull to rmi under ${handler}`, async () => {
      const info = await json('info');
      assert.ok(info.status.conditions.every((condition: { status: boolean }) => condition.status));
      const offered = info.runtimeHandlers.find(({ name }: { name: string }) => name === handler);
      assert.equal(offered.features.recursive_read_only_mounts, true);
      const events = begin([crictl, ...endpoint(), 'events']);

      await run('pull', image);
      const { images } = await json('images');
      assert.deepEqual(images[0].repoTags, [image]);
      assert.equal((await json('inspecti', image)).status.id, images[0].id);

      const podFile = join(lab.home, 'pod.json');
      const containerFile = join(lab.home, 'container.json');
      const name = `walk-${handler}`;
      await writeFile(
        podFile,
        JSON.stringify({
          metadata: { name, namespace: 'lab', uid: name, attempt: 0 },
          log_directory: lab.logDirectory(name),
          linux: { resources: { cpu_quota: 100_000, cpu_period: 100_000, memory_limit_in_bytes: 192 << 20 } },
        }),
      );
      const script =
        'echo begun; mkdir /www; echo served >/www/index.html; httpd -p 80 -h /www; while read l; do echo "<$l>"; done; sleep 1000';
      await writeFile(
        containerFile,
        JSON.stringify({
          metadata: { name: 'main', attempt: 0 },
          image: { image },
          command: ['sh', '-c', script],
          log_path: 'main.log',
          stdin: true,
        }),
      );
      const pod = await run('runp', '--runtime', handler, podFile);
      assert.equal((await json('inspectp', pod)).status.runtimeHandler, handler);
      const container = await run('create', pod, containerFile, podFile);
      assert.equal(await run('start', container), container);
      const inspected = await json('inspect', container);
      assert.equal(inspected.status.state, 'CONTAINER_RUNNING');
      assert.deepEqual(inspected.status.user.linux, { uid: '0', gid: '0', supplementalGroups: ['0'] });
      const { pid, sandboxID, config, runtimeSpec } = inspected.info;
      assert.deepEqual([sandboxID, config.log_path, runtimeSpec.process.args[0]], [pod, 'main.log', 'sh']);
      assert.ok(Array.isArray(runtimeSpec.process.env));
      const ofPod = (await json('inspectp', pod)).info;
      assert.equal(ofPod.config.metadata.uid, name);
      const programOf = async (id: number) => (await readFile(`/proc/${id}/cmdline`, 'utf8')).split('\0')[0];
      if (handler === 'vm') assert.deepEqual([pid, await programOf(pid)], [ofPod.pid, '/usr/bin/qemu-system-x86_64']);
      else {
        assert.match(await readFile(`/proc/${pid}/cmdline`, 'utf8'), /^sh\0-c\0echo begun/);
        const network = ofPod.runtimeSpec.linux.namespaces.find(({ type }: { type: string }) => type === 'network');
        assert.equal(await readlink(network.path), await readlink(`/proc/${pid}/ns/net`));
      }
      const { containers } = await json('ps');
      assert.deepEqual(
        containers.map(({ id }: { id: string }) => id),
        [container],
      );
      const { items } = await json('pods', '--name', name);
      assert.deepEqual([items[0].id, items[0].state], [pod, 'SANDBOX_READY']);

      const follower = begin([crictl, ...endpoint(), 'logs', '-f', container]);
      await says('logs -f', follower.said, /begun/);
      const attached = begin([crictl, ...endpoint(), 'attach', '-i', container], 'typed\n');
      await says('attach', attached.said, /<typed>/);
      await says('logs -f', follower.said, /<typed>/);
      assert.equal(await run('exec', container, 'echo', 'plain'), 'plain');
      assert.equal(await run('exec', '--sync', container, 'echo', 'sync'), 'sync');
      const shell = [crictl, ...endpoint(), 'exec', '-it', container, 'sh'].join(' ');
      const terminal = begin(['script', '-qec', shell, '/dev/null'], 'tty && echo $((6*7))\n');
      await says('exec -it', terminal.said, /\/dev\/pts\/\d+[\s\S]*42/);
      terminal.child.stdin!.end('exit\n');

      const port = await freePort();
      const forward = begin([crictl, ...endpoint(), 'port-forward', pod, `${port}:80`]);
      await says('port-forward', forward.said, /Forwarding from 127\.0\.0\.1/);
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'served\n');

      const stats = await json('stats', '--all');
      assert.equal(stats.stats[0].attributes.id, container);
      assert.ok(Number(stats.stats[0].memory.workingSetBytes.value) > 0);
      const podStats = await json('statsp');
      assert.equal(podStats.stats[0].attributes.id, pod);
      assert.ok((await run('metricsp')).includes('container_memory_working_set_bytes'));
      await run('update', '--memory', String(64 << 20), container);
      assert.equal((await json('inspect', container)).status.resources.linux.memoryLimitInBytes, String(64 << 20));
      assert.ok((await json('imagefsinfo')).status.imageFilesystems[0].usedBytes.value > 0);
      assert.match(await run('runtime-config'), /CGROUPFS/);

      await run('stop', '--timeout', '1', container);
      const ended = await json('inspect', container);
      assert.deepEqual([ended.status.state, ended.info.pid], ['CONTAINER_EXITED', 0]);
      assert.match(await run('logs', container), /begun\n<typed>/);
      await run('rm', container);
      await run('stopp', pod);
      await run('rmp', pod);
      await run('rmi', image);
      assert.deepEqual((await json('images')).images, []);
      for (const type of ['CREATED', 'STARTED', 'STOPPED', 'DELETED'])
        await says(
          'events',
          events.said,
          new RegExp(`${container}[\\s\\S]*CONTAINER_${type}_EVENT|CONTAINER_${type}_EVENT[\\s\\S]*${container}`),
        );
    });
});
