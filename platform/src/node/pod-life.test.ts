import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { Script } from '../../test/fixtures/node/fake-runtime.ts';
import { createNodeLab } from '../../test/fixtures/node/node-lab.ts';

const phase = (wanted: string) => (pod: Pod | undefined) => pod?.status?.phase === wanted;
const main = { name: 'web', image: 'web:1' };

/** Scripts by container name. */
const scripts = (by: Record<string, Script>) => ({
  script: ({ container }: { container: string }) => by[container] ?? {},
});

const order = (calls: string[], verb: string) =>
  calls.filter((call) => call.startsWith(`${verb} `)).map((call) => call.slice(verb.length + 1));

describe('restarting', () => {
  test('a container that fails comes again at once, then after 10 s, 20 s, 40 s', async () => {
    const starts: number[] = [];
    await using lab = await createNodeLab({
      script: () => ({ afterMs: 1000, exitCode: 7 }),
      before: (call) => void (call === 'startContainer' && starts.push(lab.clock.now())),
    });
    await lab.run('again');
    await lab.until('again', (pod) => lab.status(pod)?.restartCount === 4, 200_000);
    const gaps = starts.slice(1).map((at, index) => Math.round((at - starts[index]!) / 1000));
    assert.deepEqual(gaps, [1, 11, 21, 41]);
    assert.deepEqual(lab.runtime.faults, []);
  });

  test('while it is kept back its status says CrashLoopBackOff and how the last run ended', async () => {
    await using lab = await createNodeLab({ script: () => ({ afterMs: 1000, exitCode: 7 }) });
    const { metadata } = await lab.run('again');
    const pod = await lab.until('again', (one) => lab.status(one)?.state?.waiting?.reason === 'CrashLoopBackOff');
    const status = lab.status(pod);
    assert.equal(
      status.state?.waiting?.message,
      `back-off 10s restarting failed container=web pod=again_default(${metadata?.uid})`,
    );
    assert.equal(status.lastState?.terminated?.exitCode, 7);
    assert.equal(status.lastState?.terminated?.reason, 'Error');
    assert.equal(status.restartCount, 1);
    assert.equal(pod?.status?.phase, 'Running');
    const told = (await lab.events('again')).find((event) => event.reason === 'BackOff');
    assert.match(told?.message ?? '', /^Back-off restarting failed container web in pod again_default\(/);
  });

  test('the back-off outlives the server', async () => {
    await using lab = await createNodeLab({ script: () => ({ afterMs: 1000, exitCode: 7 }) });
    await lab.run('again');
    await lab.until('again', (pod) => lab.status(pod)?.state?.waiting?.reason === 'CrashLoopBackOff');
    const before = order(lab.runtime.calls, 'startContainer').length;
    await lab.restart();
    await lab.settle(1000);
    assert.equal(order(lab.runtime.calls, 'startContainer').length, before);
    await lab.until('again', (pod) => lab.status(pod)?.restartCount === 2);
  });

  test('OnFailure runs a failed container again and leaves one that succeeded', async () => {
    await using lab = await createNodeLab({
      script: ({ container, attempt }) => ({ afterMs: 500, exitCode: container === 'web' && attempt === 0 ? 1 : 0 }),
    });
    await lab.run('job', { restartPolicy: 'OnFailure', containers: [main, { name: 'good', image: 'web:1' }] });
    const pod = await lab.until('job', phase('Succeeded'));
    assert.equal(lab.status(pod).restartCount, 1);
    assert.equal(lab.status(pod, 'good').restartCount, 0);
  });

  test('Never keeps the exit code, and the Pod has failed', async () => {
    await using lab = await createNodeLab({ script: () => ({ afterMs: 500, exitCode: 3 }) });
    await lab.run('batch', { restartPolicy: 'Never' });
    const pod = await lab.until('batch', phase('Failed'));
    assert.equal(lab.status(pod).state?.terminated?.exitCode, 3);
    assert.equal(pod?.status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PodFailed');
  });

  test('OOMKilled is told as the runtime told it', async () => {
    await using lab = await createNodeLab({ script: () => ({ afterMs: 500, exitCode: 137, reason: 'OOMKilled' }) });
    await lab.run('hog', { restartPolicy: 'Never' });
    const pod = await lab.until('hog', phase('Failed'));
    assert.deepEqual(
      [lab.status(pod).state?.terminated?.exitCode, lab.status(pod).state?.terminated?.reason],
      [137, 'OOMKilled'],
    );
  });

  test('a container whose process cannot be started says why', async () => {
    await using lab = await createNodeLab({
      script: () => ({ startError: 'exec: "nothing": executable file not found' }),
    });
    await lab.run('broken', { restartPolicy: 'Never' });
    const pod = await lab.until('broken', phase('Failed'));
    assert.equal(lab.status(pod).state?.terminated?.exitCode, 128);
    const events = await lab.events('broken');
    assert.ok(events.some(({ message }) => message === 'Error: exec: "nothing": executable file not found'));
  });
});

describe('init containers and sidecars', () => {
  test('init containers run one after the other before the main ones', async () => {
    await using lab = await createNodeLab(scripts({ one: { afterMs: 1000 }, two: { afterMs: 1000 } }));
    const image = 'web:1';
    await lab.run('start', {
      initContainers: [
        { name: 'one', image },
        { name: 'two', image },
      ],
    });
    const waiting = await lab.until('start', (pod) => !!lab.status(pod, 'one')?.state?.running);
    assert.equal(waiting?.status?.phase, 'Pending');
    assert.equal(lab.status(waiting).state?.waiting?.reason, 'PodInitializing');
    const condition = waiting?.status?.conditions?.find(({ type }) => type === 'Initialized');
    assert.equal(condition?.message, 'containers with incomplete status: [one two]');
    await lab.until('start', phase('Running'));
    assert.deepEqual(order(lab.runtime.calls, 'startContainer'), ['one', 'two', 'web']);
  });

  test('an init container that fails for good fails the Pod and nothing else is run', async () => {
    await using lab = await createNodeLab(scripts({ one: { afterMs: 100, exitCode: 2 } }));
    await lab.run('start', { restartPolicy: 'Never', initContainers: [{ name: 'one', image: 'web:1' }] });
    const pod = await lab.until('start', phase('Failed'));
    assert.deepEqual(order(lab.runtime.calls, 'startContainer'), ['one']);
    assert.equal(lab.status(pod, 'one').state?.terminated?.exitCode, 2);
    assert.equal(lab.status(pod).state?.waiting?.reason, 'PodInitializing');
  });

  test('a sidecar starts in its place, keeps running, and ends after the main containers, last one first', async () => {
    await using lab = await createNodeLab(scripts({ prepare: { afterMs: 1000 }, web: { afterMs: 5000 } }));
    const image = 'web:1';
    await lab.run('batch', {
      restartPolicy: 'Never',
      initContainers: [
        { name: 'proxy', image, restartPolicy: 'Always' },
        { name: 'prepare', image },
        { name: 'log', image, restartPolicy: 'Always' },
      ],
    });
    const running = await lab.until('batch', phase('Running'));
    assert.deepEqual(order(lab.runtime.calls, 'startContainer'), ['proxy', 'prepare', 'log', 'web']);
    assert.ok(lab.status(running, 'proxy').ready);
    await lab.until('batch', phase('Succeeded'));
    assert.deepEqual(order(lab.runtime.calls, 'stopContainer'), ['log', 'proxy']);
  });

  test('a sidecar that ends is run again while the main containers run', async () => {
    await using lab = await createNodeLab({
      script: ({ container, attempt }) =>
        container === 'proxy' && attempt === 0 ? { afterMs: 1000, exitCode: 0 } : {},
    });
    await lab.run('served', { initContainers: [{ name: 'proxy', image: 'web:1', restartPolicy: 'Always' }] });
    await lab.until('served', (pod) => lab.status(pod, 'proxy')?.restartCount === 1);
    assert.deepEqual(lab.runtime.running().sort(), ['proxy', 'web']);
  });

  test('a sidecar with a startup probe holds the next container back until it has passed', async () => {
    let passes = false;
    await using lab = await createNodeLab({ exec: async () => ({ exitCode: passes ? 0 : 1 }) });
    const startupProbe = { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 100 };
    await lab.run('served', {
      initContainers: [{ name: 'proxy', image: 'web:1', restartPolicy: 'Always', startupProbe }],
    });
    await lab.until('served', (pod) => !!lab.status(pod, 'proxy')?.state?.running);
    await lab.settle(5000);
    assert.deepEqual(lab.runtime.running(), ['proxy']);
    passes = true;
    await lab.until('served', phase('Running'));
  });
});

describe('ending', () => {
  test('a container that ignores SIGTERM is killed when its grace period is over', async () => {
    await using lab = await createNodeLab({ script: () => ({ ignoresTerm: true }) });
    await lab.run('stubborn', { terminationGracePeriodSeconds: 7 });
    await lab.until('stubborn', phase('Running'));
    const askedAt = lab.clock.now();
    await lab.client.delete(resources.pods, 'stubborn', { namespace: 'default' });
    await lab.until('stubborn', (pod) => pod === undefined);
    const seconds = (lab.clock.now() - askedAt) / 1000;
    assert.ok(seconds >= 7 && seconds < 9, `${seconds} s`);
  });

  test('deleting again with less grace hurries the container', async () => {
    await using lab = await createNodeLab({ script: () => ({ ignoresTerm: true }) });
    await lab.run('stubborn', { terminationGracePeriodSeconds: 600 });
    await lab.until('stubborn', phase('Running'));
    await lab.client.delete(resources.pods, 'stubborn', { namespace: 'default' });
    await lab.settle(2000);
    await lab.client.delete(resources.pods, 'stubborn', { namespace: 'default', gracePeriodSeconds: 3 });
    await lab.until('stubborn', (pod) => pod === undefined, 10_000);
  });

  test('a forced delete removes the object at once and the Pod soon after', async () => {
    await using lab = await createNodeLab();
    await lab.run('forced');
    await lab.until('forced', phase('Running'));
    await lab.client.delete(resources.pods, 'forced', { namespace: 'default', gracePeriodSeconds: 0 });
    assert.equal(await lab.pod('forced'), undefined);
    await lab.wait('the machine is gone', () => lab.runtime.sandboxes.size === 0, 40_000);
  });

  test('preStop runs before SIGTERM', async () => {
    const hooks: string[] = [];
    await using lab = await createNodeLab({
      exec: async (command) => {
        hooks.push(command.join(' '));
        return { exitCode: 0 };
      },
    });
    await lab.run('polite', { containers: [{ ...main, lifecycle: { preStop: { exec: { command: ['bye'] } } } }] });
    await lab.until('polite', phase('Running'));
    await lab.client.delete(resources.pods, 'polite', { namespace: 'default' });
    await lab.until('polite', (pod) => pod === undefined);
    assert.deepEqual(hooks, ['bye']);
    const { calls } = lab.runtime;
    assert.ok(calls.indexOf('execSync web') < calls.indexOf('stopContainer web'));
  });

  test('a Pod that outlives its deadline is ended and has failed: DeadlineExceeded', async () => {
    await using lab = await createNodeLab();
    await lab.run('long', { activeDeadlineSeconds: 30, restartPolicy: 'Never' });
    await lab.until('long', phase('Running'));
    const pod = await lab.until('long', (one) => one?.status?.phase === 'Failed' && !lab.runtime.running().length);
    assert.equal(pod?.status?.reason, 'DeadlineExceeded');
    assert.equal(pod?.status?.message, 'Pod was active on the node longer than the specified deadline');
    assert.equal(lab.status(pod).state?.terminated?.exitCode, 143);
  });

  test('deleting a Pod whose image is still pulled does not wait for the pull', async () => {
    await using lab = await createNodeLab({
      registry: ['slow:1'],
      before: (call) => (call === 'pullImage' ? new Promise<void>(() => {}) : undefined),
    });
    await lab.run('pulling', { containers: [{ name: 'web', image: 'slow:1' }] });
    await lab.settle(5000);
    await lab.client.delete(resources.pods, 'pulling', { namespace: 'default' });
    await lab.until('pulling', (pod) => pod === undefined, 10_000);
    assert.equal(lab.runtime.sandboxes.size, 0);
  });
});

describe('a machine that dies', () => {
  test('of a Pod that is always restarted is replaced, and its containers run again', async () => {
    await using lab = await createNodeLab();
    await lab.run('served');
    await lab.until('served', phase('Running'));
    lab.runtime.killMachine('served');
    const pod = await lab.until(
      'served',
      (one) => lab.status(one)?.restartCount === 1 && !!lab.status(one).state?.running,
    );
    assert.equal(pod?.status?.podIP, '10.0.0.2');
    assert.equal(lab.status(pod).lastState?.terminated?.exitCode, 137);
    assert.ok((await lab.events('served')).some(({ reason }) => reason === 'SandboxChanged'));
  });

  test('of a batch Pod ends the Pod: Failed', async () => {
    await using lab = await createNodeLab();
    await lab.run('batch', { restartPolicy: 'Never' });
    await lab.until('batch', phase('Running'));
    lab.runtime.killMachine('batch');
    await lab.until('batch', phase('Failed'));
    assert.deepEqual(order(lab.runtime.calls, 'startContainer'), ['web']);
  });

  test('runs init containers again in the new machine', async () => {
    await using lab = await createNodeLab(scripts({ one: { afterMs: 100 } }));
    await lab.run('served', { initContainers: [{ name: 'one', image: 'web:1' }] });
    await lab.until('served', phase('Running'));
    lab.runtime.killMachine('served');
    await lab.until('served', (pod) => lab.status(pod)?.restartCount === 1 && !!lab.status(pod).state?.running);
    assert.deepEqual(order(lab.runtime.calls, 'startContainer'), ['one', 'web', 'one', 'web']);
  });
});

describe('images and configuration', () => {
  test('an image that cannot be had: ErrImagePull, then ImagePullBackOff, then tried again', async () => {
    await using lab = await createNodeLab();
    await lab.run('missing', { containers: [{ name: 'web', image: 'nowhere:1' }] });
    const first = await lab.until('missing', (pod) => lab.status(pod)?.state?.waiting?.reason === 'ErrImagePull');
    assert.equal(lab.status(first).state?.waiting?.message, 'nowhere:1: not found');
    await lab.until('missing', (pod) => lab.status(pod)?.state?.waiting?.reason === 'ImagePullBackOff');
    await lab.settle(30_000);
    assert.equal(order(lab.runtime.calls, 'pullImage').length, 3, 'at 0, 10 and 30 s');
    const reasons = new Set((await lab.events('missing')).map(({ reason }) => reason));
    for (const reason of ['Pulling', 'Failed', 'BackOff']) assert.ok(reasons.has(reason), reason);
  });

  test('Never with an image that is not there: ErrImageNeverPull', async () => {
    await using lab = await createNodeLab();
    await lab.run('never', { containers: [{ name: 'web', image: 'nowhere:1', imagePullPolicy: 'Never' }] });
    const pod = await lab.until('never', (one) => lab.status(one)?.state?.waiting?.reason === 'ErrImageNeverPull');
    assert.match(lab.status(pod).state?.waiting?.message ?? '', /is not present with pull policy of Never$/);
  });

  test('a missing ConfigMap: CreateContainerConfigError until it is there', async () => {
    await using lab = await createNodeLab();
    const envFrom = [{ configMapRef: { name: 'settings' } }];
    await lab.run('settled', { containers: [{ ...main, envFrom }] });
    const pod = await lab.until(
      'settled',
      (one) => lab.status(one)?.state?.waiting?.reason === 'CreateContainerConfigError',
    );
    assert.equal(lab.status(pod).state?.waiting?.message, 'configmap "settings" not found');
    await lab.client.create(
      resources.configmaps,
      { metadata: { name: 'settings' }, data: { COLOUR: 'blue' } } as object,
      { namespace: 'default' },
    );
    await lab.until('settled', phase('Running'), 3000);
  });

  test('a volume whose ConfigMap is missing: ContainerCreating and FailedMount until it is there; then it follows changes', async () => {
    await using lab = await createNodeLab();
    const volumes = [{ name: 'conf', configMap: { name: 'settings' } }];
    const created = await lab.run('settled', {
      volumes,
      containers: [{ ...main, volumeMounts: [{ name: 'conf', mountPath: '/conf' }] }],
    });
    const pod = await lab.until('settled', (one) => lab.status(one)?.state?.waiting !== undefined);
    assert.equal(lab.status(pod).state?.waiting?.reason, 'ContainerCreating');
    const failed = (await lab.events('settled')).find(({ reason }) => reason === 'FailedMount');
    assert.equal(failed?.message, 'MountVolume.SetUp failed for volume "conf" : configmap "settings" not found');
    await lab.client.create(
      resources.configmaps,
      { metadata: { name: 'settings' }, data: { colour: 'blue' } } as object,
      { namespace: 'default' },
    );
    await lab.until('settled', phase('Running'), 5000);
    const file = join(lab.home, 'pods', created.metadata?.uid ?? '', 'volumes/kubernetes.io~configmap/conf/colour');
    assert.equal(await readFile(file, 'utf8'), 'blue');
    await lab.client.patch(
      resources.configmaps,
      'settings',
      { data: { colour: 'green' } },
      { namespace: 'default', type: 'application/merge-patch+json' },
    );
    await lab.wait('the file follows', async () => (await readFile(file, 'utf8')) === 'green', 5000);
  });
});

describe('ephemeral containers', () => {
  test('are started in a running Pod, once', async () => {
    await using lab = await createNodeLab(scripts({ debug: { afterMs: 1000 } }));
    await lab.run('served');
    await lab.until('served', phase('Running'));
    await lab.client.patch(
      resources.pods,
      'served',
      { spec: { ephemeralContainers: [{ name: 'debug', image: 'web:1', targetContainerName: 'web' }] } },
      { namespace: 'default', type: 'application/strategic-merge-patch+json', subresource: 'ephemeralcontainers' },
    );
    await lab.until('served', (pod) => !!lab.status(pod, 'debug')?.state?.terminated);
    await lab.settle(30_000);
    assert.deepEqual(order(lab.runtime.calls, 'startContainer'), ['web', 'debug']);
  });
});
