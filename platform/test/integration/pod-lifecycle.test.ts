import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance, vmmPids } from './support/instance.ts';
import { containerStatus, createPod, deletePod, isReady, phaseIs, podWhere, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';

describe('a Pod lives in a VM of its own', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('life');
    await loadDemoImage(instance);
  });
  after(() => instance?.stop());

  const log = async (name: string, ...more: string[]) => (await instance.sampan(['logs', name, ...more])).stdout;

  test('runs to its end, keeps its log, and releases its VM', async () => {
    await createPod(instance.client, shellPod('once', 'echo from $(hostname); uname -r'));
    const pod = await phaseIs(instance.client, 'once', 'Succeeded');
    assert.match(await log('once'), /^from once\n6\.1\.[^\n]*cloud-amd64\n$/);
    assert.equal(containerStatus(pod).state?.terminated?.reason, 'Completed');
    await until('the VM is released', async () => vmmPids(instance).length === 0);
    assert.match(await log('once'), /from once/, 'the log outlives the VM');
  });

  test('keeps the exit code of a batch Pod that fails', async () => {
    await createPod(instance.client, shellPod('three', 'exit 3'));
    const pod = await phaseIs(instance.client, 'three', 'Failed');
    assert.equal(containerStatus(pod).state?.terminated?.exitCode, 3);
    assert.equal(containerStatus(pod).state?.terminated?.reason, 'Error');
  });

  test('restarts a container that fails, with its count and last state', async () => {
    await createPod(instance.client, shellPod('again', 'echo try; exit 7', { restartPolicy: 'OnFailure' }));
    const pod = await podWhere(instance.client, 'again', 'restarted', (one) => containerStatus(one).restartCount >= 1);
    assert.equal(containerStatus(pod).lastState?.terminated?.exitCode, 7);
    await podWhere(
      instance.client,
      'again',
      'in back-off',
      (one) => containerStatus(one).state?.waiting?.reason === 'CrashLoopBackOff',
    );
    assert.equal(await log('again', '--previous'), 'try\n');
    await deletePod(instance.client, 'again');
  });

  test('says OOMKilled when a container outgrows its memory, and the VM survives', async () => {
    const hog = 'exec dd if=/dev/zero of=/dev/null bs=200M count=1';
    await createPod(
      instance.client,
      shellPod('hog', hog, {
        containers: [{ name: 'other', image: 'localhost/demo:1', command: ['sleep', '1000'] }],
      } as object),
    );
    const pod = await podWhere(
      instance.client,
      'hog',
      'ended in one container, and runs in the other',
      (one) =>
        containerStatus(one).state?.terminated !== undefined &&
        containerStatus(one, 'other').state?.running !== undefined,
    );
    assert.equal(containerStatus(pod).state?.terminated?.reason, 'OOMKilled');
    assert.equal(containerStatus(pod).state?.terminated?.exitCode, 137);
    await deletePod(instance.client, 'hog');
  });

  test('has a port of the host for itself: who else wants it waits until it is free', async () => {
    const port = 20_000 + (process.pid % 10_000);
    const serving = (name: string) =>
      shellPod(
        name,
        `mkdir /tmp/w; echo ${name} > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w`,
        {},
        {
          ports: [{ containerPort: 80, hostPort: port }],
        },
      );
    const answer = async (): Promise<string> =>
      fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } }).then(
        async (response) => (await response.text()).trim(),
        () => 'nobody',
      );
    await createPod(instance.client, serving('front'));
    await until('the first answers', async () => (await answer()) === 'front');
    await createPod(instance.client, serving('second'));
    const waiting = await podWhere(instance.client, 'second', 'waits', (one) =>
      Boolean(one.status?.conditions?.[0]?.message),
    );
    assert.match(waiting.status!.conditions![0]!.message!, /didn't have free ports for the requested pod ports/);
    await deletePod(instance.client, 'front');
    await until('the second answers', async () => (await answer()) === 'second');
    await deletePod(instance.client, 'second');
    assert.equal(await answer(), 'nobody');
  });

  test('runs init containers in order, then sidecars beside the main container', async () => {
    const step = (name: string, script: string, more: object = {}) => ({
      name,
      image: 'localhost/demo:1',
      command: ['sh', '-c', script],
      volumeMounts: [{ name: 'work', mountPath: '/data' }],
      ...more,
    });
    const pod = shellPod(
      'order',
      'cat /data/steps',
      {
        volumes: [{ name: 'work', emptyDir: {} }],
        initContainers: [
          step('one', 'echo one >> /data/steps'),
          step('side', 'echo side >> /data/steps; sleep 1000', {
            restartPolicy: 'Always',
            startupProbe: { exec: { command: ['grep', 'side', '/data/steps'] }, periodSeconds: 1 },
          }),
          step('two', 'echo two >> /data/steps'),
        ],
      } as object,
      { volumeMounts: [{ name: 'work', mountPath: '/data' }] },
    );
    await createPod(instance.client, pod);
    await phaseIs(instance.client, 'order', 'Succeeded');
    assert.equal(await log('order'), 'one\nside\ntwo\n');
  });

  test('gives a grace period, runs preStop, and reports the SIGTERM', async () => {
    const script = 'trap "echo got TERM; exit 0" TERM; echo up; while :; do sleep 0.1; done';
    await createPod(
      instance.client,
      shellPod('grace', script, { terminationGracePeriodSeconds: 20 } as object, {
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo pre > /proc/1/fd/1'] } } },
      }),
    );
    await isReady(instance.client, 'grace');
    await until('it is up', async () => (await log('grace')).includes('up'));
    const follow = instance.startSampan(['logs', '-f', 'grace']);
    let read = '';
    follow.stdout.setEncoding('utf8').on('data', (text: string) => {
      read += text;
    });
    const ended = once(follow, 'close');
    await until('a reader is there', async () => read === 'up\n');
    await deletePod(instance.client, 'grace', 20);
    await ended;
    assert.equal(read, 'up\npre\ngot TERM\n');
  });

  test('a Pod larger than the node waits with the reason and harms nobody', async () => {
    await createPod(
      instance.client,
      shellPod('huge', 'true', {}, { resources: { limits: { cpu: '500m', memory: '9000Gi' } } }),
    );
    const pod = await podWhere(
      instance.client,
      'huge',
      'unschedulable',
      (one) => one.status?.conditions?.some((c) => c.type === 'PodScheduled' && c.status === 'False') ?? false,
    );
    assert.equal(pod.status?.phase, 'Pending');
    assert.match(JSON.stringify(pod.status?.conditions), /Insufficient memory/);
    await deletePod(instance.client, 'huge');
  });

  test('two Pods of one template share no secret', async () => {
    const script =
      'cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id 2>/dev/null || echo none; head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid';
    await Promise.all(['twin-a', 'twin-b'].map((name) => createPod(instance.client, shellPod(name, script))));
    await Promise.all(['twin-a', 'twin-b'].map((name) => phaseIs(instance.client, name, 'Succeeded')));
    const [a, b] = [await log('twin-a'), await log('twin-b')].map((text) => text.trim().split('\n'));
    assert.equal(a!.length, 4);
    for (const line of [0, 2, 3]) assert.notEqual(a![line], b![line]);
  });

  test('a kernel panic ends one Pod and is reported; others go on', async () => {
    await createPod(instance.client, shellPod('bystander', 'sleep 1000'));
    await createPod(
      instance.client,
      shellPod(
        'panics',
        'sleep 1; echo c > /proc/sysrq-trigger; sleep 1000',
        {},
        { securityContext: { privileged: true } },
      ),
    );
    await isReady(instance.client, 'bystander');
    const pod = await phaseIs(instance.client, 'panics', 'Failed');
    assert.match(JSON.stringify(pod.status), /panic/i);
    assert.equal((await instance.sampan(['exec', 'bystander', '--', 'echo', 'alive'])).stdout, 'alive\n');
    await deletePod(instance.client, 'bystander');
  });

  test('a fork bomb stays in its Pod', async () => {
    await createPod(instance.client, shellPod('bomb', 'f() { f | f & }; f; sleep 1000'));
    await createPod(instance.client, shellPod('calm', 'sleep 1000'));
    await isReady(instance.client, 'calm');
    assert.equal((await instance.sampan(['exec', 'calm', '--', 'echo', 'alive'])).stdout, 'alive\n');
    await deletePod(instance.client, 'bomb');
    await deletePod(instance.client, 'calm');
  });
});
