/** The guest's agent in real machines: the suite of every agent, and what only a real guest can show. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Agent } from '../../src/runtime/agent/agent.ts';
import { agentSuite } from '../../src/runtime/agent/agent-suite.ts';
import { encodeFrame, frameType } from '../../src/runtime/agent/frames.ts';
import type { Machine } from '../../src/vmm/vmm.ts';
import { container, GuestLab, homely, missing, nothing, run, start, textOf } from './guest-lab.ts';
import { until } from './support/wait.ts';

describe('the guest agent', { skip: missing() }, () => {
  let lab: GuestLab;
  let machine: Machine;
  let agent: Agent;
  before(async () => {
    lab = await GuestLab.open();
    machine = await lab.machine('one');
    agent = await lab.agent(machine);
  });
  after(() => lab?.close());

  let suiteMachine: Machine | undefined;
  agentSuite({
    name: 'as every agent',
    spec: homely,
    connect: async () => {
      const adopted = suiteMachine !== undefined;
      suiteMachine ??= await lab.machine('suite');
      return lab.agent(suiteMachine, { adopted });
    },
  });

  test('two machines of one template share no secret', async () => {
    const other = await lab.agent(await lab.machine('two'));
    const script =
      'cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname; head -c 16 /dev/urandom | wc -c; head -c 8 /dev/urandom | busybox xxd -p';
    const devices = { linux: {}, mounts: [...homely.mounts] };
    const [mine, theirs] = await Promise.all([agent, other].map((one) => run(one, script, {}, devices)));
    const [ours, others] = [mine!.trim().split('\n'), theirs!.trim().split('\n')];
    assert.equal(ours.length, 5);
    for (const [index, name] of [
      [0, 'boot id'],
      [1, 'machine id'],
      [2, 'hostname'],
      [4, 'random bytes'],
    ] as const)
      assert.notEqual(ours[index], others[index], name);
    await other.close();
  });

  test('a name of the image becomes a user with its groups and home, and may write to its stdout by name', async () => {
    const text = await run(agent, 'id; echo $HOME; echo again > /dev/stdout', {
      user: { name: 'web', supplementalGroups: [77] },
    });
    assert.equal(text, 'uid=33(web) gid=44 groups=44,50(extra),77\n/srv\nagain\n');
    await assert.rejects(
      agent.createContainer(container(['/bin/true'], { user: { name: 'nobody', supplementalGroups: [] } })),
      /unable to find user nobody/,
    );
  });

  test('a container may use the usual devices and no others, even those it makes itself', async () => {
    const script =
      'mknod /tmp/disk b 254 0; mknod /tmp/zero c 1 5; head -c 1 /tmp/disk 2>&1; head -c 3 /tmp/zero | wc -c; echo ok > /dev/null && echo null';
    const capabilities = Object.fromEntries(['bounding', 'effective', 'permitted'].map((set) => [set, ['CAP_MKNOD']]));
    const process = { args: ['/bin/sh', '-c', script], cwd: '/', env: ['PATH=/bin'], capabilities };
    const rules = { allow: false, access: 'rwm' };
    const withRules = async (devices: object[]) =>
      textOf(agent, await start(agent, container([], {}, { process, linux: { resources: { devices } } })));
    const refused = /disk: Operation not permitted\n3\nnull\n$/;
    assert.match(await withRules([rules]), refused);
    assert.match(
      await withRules([rules, { allow: true, type: 'c', major: 10, minor: 229, access: 'rwm' }]),
      refused,
      "crun's own filter",
    );
    assert.doesNotMatch(await withRules([{ allow: true, access: 'rwm' }]), /not permitted/, 'privileged');
  });

  test('a container made ready has its process, which waits for its start; what crun complains of waits too', async () => {
    const ready = container(['/bin/sh', '-c', 'cat /proc/self/comm; date +%s'], { ready: true });
    const bad = container(['/bin/nosuchprogram'], { ready: true });
    for (const one of [ready, bad]) await agent.createContainer(one);
    const process = async () => (await agent.listContainers()).find(({ id }) => id === ready.id)!;
    await until('its process is there', async () => (await process()).pid > 0);
    await delay(2_100);
    assert.deepEqual([(await process()).state, (await process()).exit], ['created', undefined]);
    const begun = Math.floor(Date.now() / 1000);
    const { pid } = await agent.startContainer(ready.id);
    assert.equal(pid, (await process()).pid, 'crun was not run again');
    const [name, time] = (await textOf(agent, ready.id)).split('\n');
    assert.equal(name, 'cat');
    assert.ok(Number(time) >= begun - 1, 'it began when it was started');
    assert.equal((await agent.listContainers()).find(({ id }) => id === bad.id)?.state, 'created');
    await assert.rejects(agent.startContainer(bad.id), /nosuchprogram/);
  });

  test('one that was made ready and is not wanted goes with its process', async () => {
    const unwanted = container(['/bin/sleep', '1000'], { ready: true });
    await agent.createContainer(unwanted);
    const status = async () => (await agent.listContainers()).find(({ id }) => id === unwanted.id);
    await until('its process is there', async () => ((await status())?.pid ?? 0) > 0);
    await agent.removeContainer(unwanted.id);
    assert.equal(await status(), undefined);
    // Its control group, which holds processes, would not be there anew.
    await agent.createContainer({ ...unwanted, ready: false });
    await agent.startContainer(unwanted.id);
    assert.equal((await agent.processes(unwanted.id)).length, 1);
    await agent.removeContainer(unwanted.id);
  });

  test('output waits for its reader: nothing is lost and the container blocks meanwhile', async () => {
    const id = await start(agent, container(['/bin/sh', '-c', 'yes 0123456789abcde | head -c 3000000; echo end']));
    let size = 0n;
    let last = '';
    for await (const chunk of agent.output(id, nothing)) {
      assert.equal(chunk.offset, size);
      size += BigInt(chunk.data.length);
      last = Buffer.from(chunk.data).toString();
      if (size === BigInt(chunk.data.length))
        assert.equal((await agent.listContainers()).find((one) => one.id === id)?.state, 'running');
      agent.acknowledge(id, { stdout: size, stderr: 0n });
    }
    assert.equal(size, 3_000_004n);
    assert.match(last, /end\n$/);
  });

  test('a container that takes more memory than it may is OOMKilled, and told so', async () => {
    const limits = { linux: { resources: { memory: { limit: 16 * 1024 * 1024 } } } };
    const id = await start(
      agent,
      container(['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1'], {}, limits),
    );
    const types: string[] = [];
    for await (const event of agent.events(new AbortController().signal)) {
      if (event.type === 'closed' || event.containerId !== id) continue;
      types.push(event.type);
      if (event.type === 'exited') {
        assert.deepEqual([event.exit.exitCode, event.exit.reason], [137, 'OOMKilled']);
        break;
      }
    }
    assert.deepEqual(types, ['oom', 'exited']);
  });

  test('a terminal echoes, takes a size, and is one stream', async () => {
    const id = await start(agent, container(['/bin/sh'], { tty: true, stdin: true }));
    await agent.resizeTty(id, 132, 43);
    await agent.writeStdin(id, Buffer.from('stty size; echo err >&2; exit 4\n'));
    const text = await textOf(agent, id);
    assert.match(text, /43 132\r\n/);
    assert.match(text, /err\r\n/);
    const session = await (async () => {
      const host = await start(agent, container(['/bin/sleep', '1000']));
      return agent.exec({
        containerId: host,
        args: ['/bin/stty', 'size'],
        tty: true,
        stdin: true,
        columns: 91,
        rows: 17,
      });
    })();
    assert.equal(Buffer.concat(await Array.fromAsync(session.stdout)).toString(), '17 91\r\n');
    assert.equal((await session.exited).exitCode, 0);
  });

  test('a connection into the guest reaches what a container listens on', async () => {
    await agent.createVolume({ id: 'www', kind: 'files' });
    const page = {
      path: 'index.html',
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      content: Buffer.from('it works').toString('base64'),
    };
    await agent.putFiles('www', [page as never]);
    const mounts = [{ volumeId: 'www', containerPath: '/data', readOnly: true }];
    await start(agent, container(['/bin/httpd', '-f', '-p', '8080', '-h', '/data'], { mounts }));
    const session = await dialUntil(agent, 8080);
    const writer = session.stdin.getWriter();
    await writer.write(Buffer.from('GET /index.html HTTP/1.0\r\n\r\n'));
    await writer.close();
    assert.match(Buffer.concat(await Array.fromAsync(session.stdout)).toString(), /200 OK[\s\S]*it works$/);
    await session.exited;
    // One that listens on IPv6's loopback alone is as near: what port-forward calls localhost is both.
    await start(agent, container(['/bin/httpd', '-f', '-p', '[::1]:8081', '-h', '/data'], { mounts }));
    await using six = await dialUntil(agent, 8081);
    const asker = six.stdin.getWriter();
    await asker.write(Buffer.from('GET /index.html HTTP/1.0\r\n\r\n'));
    await asker.close();
    assert.match(Buffer.concat(await Array.fromAsync(six.stdout)).toString(), /200 OK[\s\S]*it works$/);
    await assert.rejects(agent.dial(8082), /connect to localhost:8082 inside the Pod: .*refused/);
  });

  test('a link in a volume does not lead a subPath out of it', async () => {
    await agent.createVolume({ id: 'trap', kind: 'disk' });
    const whole = [{ volumeId: 'trap', containerPath: '/data', readOnly: false }];
    await run(agent, 'ln -s / /data/out; ln -s ../../../../../.. /data/up; mkdir -p /data/in', { mounts: whole });
    const through = (subPath: string) =>
      run(agent, 'ls /data', { mounts: [{ volumeId: 'trap', subPath, containerPath: '/data', readOnly: false }] });
    assert.equal(await through('out'), 'in\nout\nup\n', 'the root of a link is the volume');
    assert.equal(await through('up/in'), '');
    assert.equal(await through('made/on/the/way'), '');
  });

  test('containers that share a PID namespace see each other; their end takes along what they left', async () => {
    const shared = await lab.agent(await lab.machine('shared'), { setup: { sharePidNamespace: true } });
    const first = await start(shared, container(['/bin/sleep', '987']));
    assert.match(await run(shared, 'ps'), /sleep 987/);
    const beside = container(['/bin/sh', '-c', 'ps'], { pidNamespaceOf: first });
    assert.match(await textOf(shared, await start(shared, beside)), /sleep 987/);
    await run(shared, 'sleep 555 & exit 0');
    assert.doesNotMatch(await run(shared, 'ps'), /sleep 555/);
    await shared.close();
  });

  test('a frame that a killed server left torn is not obeyed by the next', async () => {
    const torn = await lab.machine('torn');
    const before = await lab.agent(torn);
    const id = await start(before, container(['/bin/cat'], { stdin: true }));
    await before.writeStdin(id, Buffer.from('first '));
    await before.close();
    const head = Buffer.from(JSON.stringify({ method: 'writeStdin', params: { id } }));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(head.length);
    const frame = encodeFrame({ type: frameType.call, id: 1 }, Buffer.concat([length, head, Buffer.alloc(5000, 'x')]));
    const socket = connect(torn.channelPath);
    socket.write(encodeFrame({ type: frameType.sync }, randomBytes(16)));
    await new Promise((resolve) => socket.write(frame.subarray(0, frame.length - 100), resolve));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    const next = await lab.agent(torn, { adopted: true });
    await next.writeStdin(id, Buffer.from('second'));
    await next.closeStdin(id);
    assert.equal(await textOf(next, id), 'first second');
    await next.close();
  });
});

/** The server in the container may need a moment. */
async function dialUntil(agent: Agent, port: number): ReturnType<Agent['dial']> {
  for (const endMs = performance.now() + 60_000; ; ) {
    try {
      return await agent.dial(port);
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await agent.listContainers();
    }
  }
}
