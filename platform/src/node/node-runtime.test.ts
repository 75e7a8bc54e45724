import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { createNodeLab } from '../../test/fixtures/node/node-lab.ts';
import { eventually, TestWorld } from '../../test/fixtures/runtime/test-world.ts';

const busybox = (command: string[], more: Partial<Container> = {}): Container => ({
  name: 'web',
  image: 'busybox',
  imagePullPolicy: 'IfNotPresent',
  command,
  ...more,
});

async function world() {
  const host = await TestWorld.create();
  const lab = await createNodeLab({}, { runtime: host.runtime });
  return {
    host,
    lab,
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

const text = async (stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>) => {
  let all = '';
  for await (const chunk of stream as AsyncIterable<Uint8Array>) all += Buffer.from(chunk).toString();
  return all;
};

const key = (pod: Pod | undefined) => ({
  namespace: 'default',
  name: pod?.metadata?.name ?? '',
  uid: pod?.metadata?.uid ?? '',
});
const signal = new AbortController().signal;
const plain = { follow: false, previous: false, timestamps: false };

describe('a node over the real runtime, in machines that only pretend', () => {
  test('runs a Pod to its end; its log outlives its machine and goes with its object', async () => {
    await using both = await world();
    const { lab, host } = both;
    await lab.run('once', {
      restartPolicy: 'Never',
      containers: [busybox(['say', 'hello', '$(NAME)'], { env: [{ name: 'NAME', value: 'world' }] })],
    });
    const pod = await lab.until('once', (one) => one?.status?.phase === 'Succeeded');
    assert.match(lab.status(pod).containerID ?? '', /^sampan:\/\/[0-9a-f]{64}$/);
    assert.match(lab.status(pod).imageID, /sha256:a/);
    await lab.wait('the machine is let go', () => host.host.machines.size === 0);
    assert.equal(
      await text(await lab.node.gateway.logs(key(pod), { ...plain, container: 'web' }, signal)),
      'hello world\n',
    );
    await lab.client.delete(resources.pods, 'once', { namespace: 'default' });
    await lab.until('once', (one) => one === undefined);
    await lab.wait('nothing is left', async () => (await host.traces()).length === 0);
    const refusal = () =>
      lab.node.gateway.logs(key(pod), { ...plain, container: 'web' }, signal).then(
        () => '',
        (error) => error.reason,
      );
    await lab.wait('the log is gone', async () => (await refusal()) === 'NotFound');
  });

  test('gives a machine its volumes, and follows their changes', async () => {
    await using both = await world();
    const { lab, host } = both;
    const config = (colour: string) => ({ metadata: { name: 'settings' }, data: { colour } }) as object;
    await lab.client.create(resources.configmaps, config('blue'), { namespace: 'default' });
    await lab.run('served', {
      containers: [
        busybox(['sleep'], {
          volumeMounts: [
            { name: 'conf', mountPath: '/conf' },
            { name: 'space', mountPath: '/space' },
          ],
        }),
      ],
      volumes: [
        { name: 'conf', configMap: { name: 'settings' } },
        { name: 'space', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      ],
    });
    const pod = await lab.until('served', (one) => one?.status?.phase === 'Running');
    const seen = () => JSON.stringify([...host.guest().volumes.values()]);
    assert.ok(seen().includes(Buffer.from('blue').toString('base64')), seen());
    await lab.client.patch(
      resources.configmaps,
      'settings',
      { data: { colour: 'green' } },
      { namespace: 'default', type: 'application/merge-patch+json' },
    );
    const changed = async () => {
      await lab.settle();
      return seen().includes(Buffer.from('green').toString('base64')) || undefined;
    };
    await eventually(changed, 'the change to reach the guest');
    const hosts = await readFile(join(lab.home, 'pods', pod?.metadata?.uid ?? '', 'etc-hosts'), 'utf8');
    assert.ok(hosts.includes(`${pod?.status?.podIP}\tserved`));
  });

  test('answers exec and attach of a container that runs, and refuses others in kubelet’s words', async () => {
    await using both = await world();
    const { lab } = both;
    await lab.run('served', { containers: [busybox(['sleep'])] });
    const pod = await lab.until('served', (one) => one?.status?.phase === 'Running');
    const streams = { stdin: false, stdout: true, stderr: true, tty: false };
    await using session = await lab.node.gateway.exec(key(pod), {
      container: 'web',
      command: ['echo', 'hi'],
      ...streams,
    });
    assert.equal((await session.exited).exitCode, 0);
    await assert.rejects(
      lab.node.gateway.exec(key(pod), { container: 'no', command: ['x'], ...streams }),
      /container not found \("no"\)/,
    );
    await assert.rejects(lab.node.gateway.logs(key(pod), { ...plain, container: 'web', previous: true }, signal), {
      reason: 'BadRequest',
      message: 'previous terminated container "web" in pod "served" not found',
    });
  });

  test('tells what Pods use', async () => {
    await using both = await world();
    const { lab } = both;
    await lab.run('served', { containers: [busybox(['sleep'])] });
    await lab.until('served', (one) => one?.status?.phase === 'Running');
    const summary = (await lab.node.gateway.statsSummary()) as {
      pods: { podRef: { name: string }; containers: { name: string }[] }[];
    };
    assert.deepEqual(
      summary.pods.map(({ podRef, containers }) => [podRef.name, containers.map(({ name }) => name)]),
      [['served', ['web']]],
    );
  });

  test('a machine that dies is replaced by another', async () => {
    await using both = await world();
    const { lab, host } = both;
    await lab.run('served', { containers: [busybox(['sleep'])] });
    await lab.until('served', (one) => one?.status?.phase === 'Running');
    host.machine().die({ kind: 'panicked', message: 'Kernel panic - not syncing: sysrq triggered crash' });
    const pod = await lab.until(
      'served',
      (one) => lab.status(one)?.restartCount === 1 && !!lab.status(one).state?.running,
    );
    assert.ok(lab.status(pod).lastState?.terminated);
  });
});
