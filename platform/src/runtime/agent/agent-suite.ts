/**
 * What every Agent must do, fake or real. The guest must have an image in slot image0 with busybox's echo, cat, sleep, true and sh in /bin, and must be set up.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import type { Agent, CreateContainer, GuestMount, OutputChunk } from './agent.ts';

export interface AgentSuiteOptions {
  name: string;
  /** A connection to one and the same guest; a second one replaces the first. */
  connect(): Promise<Agent>;
  /** Extra fields of the spec that real containers need. */
  spec?: object;
  skip?: string | false;
}

const nothing = { stdout: 0n, stderr: 0n };

async function collect(stream: ReadableStream<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString();
}

async function outputOf(agent: Agent, id: string, from = nothing): Promise<{ text: string; chunks: OutputChunk[] }> {
  const chunks = await Array.fromAsync(agent.output(id, from));
  return { text: Buffer.concat(chunks.map((chunk) => chunk.data)).toString(), chunks };
}

/** A container of the image in slot image0, as tests ask for one. `spec` goes on top of what every container's says. */
export function containerRequest(
  id: string,
  args: string[],
  more: Partial<CreateContainer> = {},
  spec: object = {},
): CreateContainer {
  return {
    id,
    ...(more.rootfs ? {} : { imageSlot: 'image0' }),
    spec: { ociVersion: '1.0.2', process: { args, cwd: '/', env: ['PATH=/bin'] }, ...spec },
    mounts: [],
    readOnlyRootfs: false,
    tty: false,
    stdin: false,
    stdinOnce: false,
    ...more,
  };
}

export function agentSuite(options: AgentSuiteOptions): void {
  describe(options.name, { skip: options.skip ?? false }, () => {
    let agent: Agent;
    let lastId = 0;
    const request = (args: string[], more: Partial<CreateContainer> = {}): CreateContainer =>
      containerRequest(`c${++lastId}`, args, more, options.spec);
    const start = async (args: string[], more: Partial<CreateContainer> = {}) => {
      const container = request(args, more);
      await agent.createContainer(container);
      await agent.startContainer(container.id);
      return container.id;
    };
    const find = async (id: string) => (await agent.listContainers()).find((container) => container.id === id);
    before(async () => {
      agent = await options.connect();
    });

    const exitOf = async (id: string) => {
      for await (const event of agent.events(new AbortController().signal))
        if (event.type === 'exited' && event.containerId === id) return event.exit;
      throw new Error('the connection ended before the container');
    };

    test('a container runs to its end, and its output and exit are told', async () => {
      const id = await start(['/bin/sh', '-c', 'exit 3']);
      await outputOf(agent, id);
      const exit = await exitOf(id);
      assert.deepEqual([exit.exitCode, exit.signal, exit.reason], [3, 0, 'Error']);
      assert.ok(exit.finishedAtUnixNanos >= exit.startedAtUnixNanos);
      assert.deepEqual((await find(id))?.exit, exit);
      await agent.removeContainer(id);
      assert.equal(await find(id), undefined);
    });

    test('output that was not acknowledged can be read again, from any offset', async () => {
      const id = await start(['/bin/echo', 'hello']);
      assert.equal((await outputOf(agent, id)).text, 'hello\n');
      const again = await outputOf(agent, id, { stdout: 2n, stderr: 0n });
      assert.equal(again.text, 'llo\n');
      assert.equal(again.chunks[0]?.offset, 2n);
      await agent.removeContainer(id);
    });

    test('a killed container exits with 128 and the signal', async () => {
      const id = await start(['/bin/sleep', '1000']);
      assert.equal((await find(id))?.state, 'running');
      await agent.signal(id, 9);
      const exit = await exitOf(id);
      assert.deepEqual([exit.exitCode, exit.signal, exit.reason], [137, 9, 'Error']);
      await agent.signal(id, 15);
      await agent.removeContainer(id);
    });

    test('a program that does not exist is a StartError with the reason in words', async () => {
      const container = request(['/bin/nosuchprogram']);
      await agent.createContainer(container);
      await assert.rejects(agent.startContainer(container.id), (error) => {
        assert.ok(isReason(error, 'InternalError'));
        assert.match(error.message, /nosuchprogram/);
        return true;
      });
      const { exit } = (await find(container.id))!;
      assert.deepEqual([exit?.exitCode, exit?.reason], [128, 'StartError']);
      await agent.removeContainer(container.id);
    });

    test('a container that is made ready starts, fails and goes as any other', async () => {
      const ready = { ready: true };
      const id = await start(['/bin/echo', 'hello'], ready);
      assert.equal((await outputOf(agent, id)).text, 'hello\n');
      assert.deepEqual([(await exitOf(id)).exitCode, (await find(id))?.state], [0, 'exited']);
      const bad = request(['/bin/nosuchprogram'], ready);
      await agent.createContainer(bad);
      await assert.rejects(agent.startContainer(bad.id), /nosuchprogram/);
      assert.deepEqual((await find(bad.id))?.exit?.reason, 'StartError');
      const unwanted = request(['/bin/sleep', '1000'], ready);
      await agent.createContainer(unwanted);
      assert.equal((await find(unwanted.id))?.state, 'created');
      assert.ok((await agent.awaitReady(unwanted.id)).pid > 0);
      const never = request(['/bin/nosuchprogram'], ready);
      await agent.createContainer(never);
      await assert.rejects(agent.awaitReady(never.id), { reason: 'InternalError', message: /nosuchprogram/ });
      await agent.removeContainer(never.id);
      for (const one of [id, bad.id, unwanted.id]) await agent.removeContainer(one);
      assert.equal(await find(unwanted.id), undefined);
    });

    test('every call may be repeated', async () => {
      const container = request(['/bin/sleep', '1000']);
      await Promise.all([agent.createContainer(container), agent.createContainer(container)]);
      const [first, second] = await Promise.all([
        agent.startContainer(container.id),
        agent.startContainer(container.id),
      ]);
      assert.deepEqual(first, second);
      await Promise.all([agent.removeContainer(container.id), agent.removeContainer(container.id)]);
      await agent.removeContainer(container.id);
    });

    test('stdin reaches the process, and its end does', async () => {
      const id = await start(['/bin/cat'], { stdin: true });
      await agent.writeStdin(id, Buffer.from('one '));
      await agent.writeStdin(id, Buffer.from('two'));
      await agent.closeStdin(id);
      assert.equal((await outputOf(agent, id)).text, 'one two');
      await assert.rejects(agent.writeStdin(id, Buffer.from('x')), (error) => isReason(error, 'FailedPrecondition'));
      await agent.removeContainer(id);
    });

    test('a terminal that is hung up ends for the process that reads from it', async () => {
      // As containerd's are, and longer than a socket's path may be.
      const id = await start(['/bin/cat'], { stdin: true, tty: true, id: `default-${'f'.repeat(92)}` });
      await agent.writeStdin(id, Buffer.from('word\n'));
      await agent.hangUp(id);
      await exitOf(id);
      await assert.rejects(agent.writeStdin(id, Buffer.from('x')), (error) => isReason(error, 'FailedPrecondition'));
      await agent.removeContainer(id);
      const plain = await start(['/bin/sleep', '1000']);
      await assert.rejects(agent.hangUp(plain), { reason: 'FailedPrecondition', message: /has no terminal/ });
      await agent.removeContainer(plain);
    });

    test('exec joins a process to streams, both ways, and tells how it ended', async () => {
      const id = await start(['/bin/sleep', '1000']);
      const session = await agent.exec({ containerId: id, args: ['/bin/cat'], tty: false, stdin: true });
      const writer = session.stdin.getWriter();
      const sent = 'x'.repeat(300_000);
      const writing = writer.write(Buffer.from(sent)).then(() => writer.close());
      assert.equal(await collect(session.stdout), sent);
      await writing;
      assert.deepEqual(await session.exited, { exitCode: 0, signal: 0 });
      const failing = await agent.exec({
        containerId: id,
        args: ['/bin/sh', '-c', 'exit 5'],
        tty: false,
        stdin: false,
      });
      assert.deepEqual(await failing.exited, { exitCode: 5, signal: 0 });
      await assert.rejects(
        agent.exec({ containerId: id, args: ['/bin/nosuchprogram'], tty: false, stdin: false }),
        /nosuchprogram/,
      );
      const killed = await agent.exec({ containerId: id, args: ['/bin/sleep', '1000'], tty: false, stdin: false });
      killed.kill();
      assert.deepEqual(await killed.exited, { exitCode: 137, signal: 9 });
      await agent.removeContainer(id);
      await assert.rejects(agent.exec({ containerId: id, args: ['/bin/true'], tty: false, stdin: false }), (error) =>
        isReason(error, 'NotFound'),
      );
    });

    test('a volume of files is replaced as a whole, and a file volume can be read back', async () => {
      const file = (path: string, text: string) =>
        ({ path, type: 'file', mode: 0o644, uid: 0, gid: 0, content: Buffer.from(text).toString('base64') }) as const;
      await agent.createVolume({ id: 'config', kind: 'files' });
      await agent.createVolume({ id: 'config', kind: 'files' });
      await agent.putFiles('config', [file('key', 'one'), file('dir/key', 'two')]);
      const mounts: GuestMount[] = [{ volumeId: 'config', containerPath: '/config', readOnly: true }];
      const id = await start(['/bin/sleep', '1000'], { mounts });
      const read = async (path: string) => {
        const session = await agent.exec({ containerId: id, args: ['/bin/cat', path], tty: false, stdin: false });
        return await collect(session.stdout);
      };
      assert.equal(await read('/config/key'), 'one');
      assert.equal(await read('/config/dir/key'), 'two');
      await agent.putFiles('config', [file('key', 'three')]);
      assert.equal(await read('/config/key'), 'three');
      assert.equal(await read('/config/dir/key'), '');
      await agent.removeContainer(id);
      await agent.createVolume({ id: 'message', kind: 'file' });
      await agent.putFiles('message', [file('', 'the end')]);
      assert.equal(Buffer.from(await agent.readFile('message', 3)).toString(), 'end');
      await assert.rejects(agent.putFiles('nosuch', []), (error) => isReason(error, 'NotFound'));
    });

    test('a port nobody listens on refuses a dial', async () => {
      await assert.rejects(agent.dial(9), (error) => isReason(error, 'ServiceUnavailable'));
    });

    test('stats know the containers and volumes', async () => {
      const id = await start(['/bin/sleep', '1000']);
      await agent.createVolume({ id: 'space', kind: 'disk' });
      const stats = await agent.stats();
      assert.equal(stats.containers.find((container) => container.id === id)?.pids, 1);
      assert.ok(stats.volumes.some((volume) => volume.id === 'space'));
      assert.ok(stats.memoryTotalBytes > stats.memoryAvailableBytes);
      await agent.removeContainer(id);
    });

    test('a kept exec outlives the connection with its output, stdin and exit code, and goes with its container', async () => {
      const containerId = await start(['/bin/sleep', '1000']);
      const keep = async (id: string, args: string[], more: { stdin?: boolean } = {}) => {
        await agent.createExec({ id, containerId, args, tty: false, stdin: false, ...more });
        return agent.startContainer(id);
      };
      const [first, again] = [
        await keep('kept-cat', ['/bin/cat'], { stdin: true }),
        await agent.startContainer('kept-cat'),
      ];
      assert.ok(first.pid! > 0);
      assert.deepEqual(again, first);
      await agent.writeStdin('kept-cat', Buffer.from('before '));
      await keep('kept-exit', ['/bin/sh', '-c', 'exit 6']);
      await outputOf(agent, 'kept-exit');
      await agent.close();
      agent = await options.connect();
      assert.equal((await find('kept-cat'))?.state, 'running');
      assert.equal((await find('kept-exit'))?.exit?.exitCode, 6);
      await agent.writeStdin('kept-cat', Buffer.from('after'));
      await agent.closeStdin('kept-cat');
      assert.equal((await outputOf(agent, 'kept-cat')).text, 'before after');
      assert.equal((await exitOf('kept-cat')).exitCode, 0);
      await keep('kept-sleep', ['/bin/sleep', '1000']);
      await agent.signal('kept-sleep', 15);
      assert.equal((await exitOf('kept-sleep')).exitCode, 143);
      assert.equal((await find(containerId))?.state, 'running', 'the signal was for the exec alone');
      await keep('kept-last', ['/bin/sleep', '1000']);
      await agent.removeContainer('kept-last');
      assert.equal(await find('kept-last'), undefined);
      await assert.rejects(keep('kept-none', ['/bin/nosuchprogram']), /nosuchprogram/);
      assert.equal((await find(containerId))?.state, 'running', 'removal was of the exec alone');
      assert.ok((await agent.stats()).containers.every(({ id }) => !id.startsWith('kept-')));
      await agent.removeContainer(containerId);
      for (const id of ['kept-cat', 'kept-exit', 'kept-sleep', 'kept-none']) await agent.removeContainer(id);
      assert.deepEqual(
        (await agent.listContainers()).filter(({ id }) => id.startsWith('kept-')),
        [],
      );
    });

    test('output of what cannot be started ends for whoever reads it already', async () => {
      const containerId = await start(['/bin/sleep', '1000']);
      const reading = async (id: string, args: string[]) => {
        await agent.createExec({ id, containerId, args, tty: false, stdin: false });
        const output = outputOf(agent, id);
        await agent.listContainers();
        await assert.rejects(agent.startContainer(id));
        const late = new Promise<never>((_, reject) => {
          AbortSignal.timeout(60_000).addEventListener('abort', () => reject(new Error('its output has no end')));
        });
        assert.equal((await Promise.race([output, late])).text, '');
        await agent.removeContainer(id);
      };
      await reading('not-there', ['/bin/nosuchprogram']);
      await agent.freeze(containerId, true);
      await reading('not-let-in', ['/bin/true']);
      await agent.freeze(containerId, false);
      await agent.removeContainer(containerId);
    });

    test('a second connection finds the containers of the first, and their output', async () => {
      const id = await start(['/bin/echo', 'still here']);
      await outputOf(agent, id);
      await exitOf(id);
      await agent.close();
      await assert.rejects(agent.listContainers());
      agent = await options.connect();
      assert.equal((await find(id))?.state, 'exited');
      assert.equal((await outputOf(agent, id)).text, 'still here\n');
      agent.acknowledge(id, { stdout: 6n, stderr: 0n });
      await agent.listContainers();
      assert.equal((await outputOf(agent, id)).text, 'here\n');
      await agent.removeContainer(id);
      await agent.close();
    });
  });
}
