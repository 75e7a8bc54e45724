/**
 * A real kubelet (Kubernetes' own, built from its Go module) over `./sampan cri`: alone with static Pods, and as a node of our API server. Runs itself again
 * in a mount namespace of its own, since kubelet mounts volumes and sets kernel settings.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binaryOf } from '../../../tools/conformance/go-programs.ts';
import { run } from '../../src/base/child.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';
import { freePort } from './support/instance.ts';
import { besideTheHost, Kubelet, type KubeletPod } from './support/kubelet-lab.ts';
import { until } from './support/wait.ts';

const inside = process.env.SAMPAN_TEST_KUBELET !== undefined;

if (!inside) {
  test('a real kubelet over sampan cri, in a mount namespace of its own', (t) => {
    const binary = binaryOf('kubelet');
    const unbuilt = existsSync(binary) ? undefined : 'kubelet is not built: npm run kubelet builds it, in some minutes';
    const missing = missingForCri() ?? unbuilt;
    if (missing) return t.skip(missing);
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    const script = [process.execPath, '--test', fileURLToPath(import.meta.url)];
    const child = spawnSync('unshare', ['--mount', ...script], {
      env: { ...environment, SAMPAN_TEST_KUBELET: binary },
      encoding: 'utf8',
      timeout: 500_000,
      killSignal: 'SIGTERM',
    });
    assert.equal(child.status, 0, child.stdout + child.stderr);
    t.diagnostic(child.stdout.match(/^.*ℹ .*(ms|MiB).*$/gm)?.join('\n') ?? '');
  });
} else {
  describe('kubelet alone', () => void test('static Pods', alone));
}

interface Lab extends AsyncDisposable {
  home: string;
  cri: CriLab;
  registry: Registry;
  image: string;
}

async function newLab(): Promise<Lab> {
  const home = await mkdtemp('/var/tmp/sampan-kubelet-');
  await besideTheHost(join(home, 'settings'));
  const registry = await startRegistry();
  const image = await registry.pushImage(await buildImage('busybox'), 'kubelet/busybox:1');
  const cri = await CriLab.open('kubelet-cri');
  return {
    ...{ home, cri, registry, image },
    [Symbol.asyncDispose]: async () => {
      await cri[Symbol.asyncDispose]();
      await registry.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

const small = { limits: { cpu: '1', memory: '96Mi' }, requests: { cpu: '100m', memory: '96Mi' } };

const staticPod = (name: string, spec: object) => ({
  ...{ apiVersion: 'v1', kind: 'Pod' },
  metadata: { name, namespace: 'default' },
  spec: { terminationGracePeriodSeconds: 3, ...spec },
});

/** The Pod of a manifest, once it is as `probe` wants it. */
const podWhere = (kubelet: Kubelet, name: string, what: string, probe: (pod: KubeletPod) => boolean) =>
  until(
    `${name} ${what}`,
    async () =>
      (await kubelet.pods()).find(({ metadata }) => metadata.name === `${name}-kubelet` || metadata.name === name),
    60_000,
  ).then(() =>
    until(`${name} ${what}`, async () => {
      const found = (await kubelet.pods()).find(({ metadata }) => metadata.name.replace(/-kubelet$/, '') === name);
      return found && probe(found) ? found : undefined;
    }),
  );

const ready = (pod: KubeletPod): boolean =>
  (pod.status?.containerStatuses ?? []).length > 0 && pod.status!.containerStatuses!.every((one) => one.ready);

const statusOf = (pod: KubeletPod, name = 'main') => pod.status!.containerStatuses!.find((one) => one.name === name)!;

async function alone(t: TestContext): Promise<void> {
  await using lab = await newLab();
  const { cri, home, image } = lab;
  const kubelet = new Kubelet({
    directory: join(home, 'kubelet'),
    binary: process.env.SAMPAN_TEST_KUBELET!,
    criSocket: cri.socketPath,
    port: await freePort(),
  });
  await kubelet.start();
  try {
    const shared = join(home, 'shared');
    await run('mkdir', [shared]);
    await writeFile(join(shared, 'from-host'), 'of the host');
    const begin = performance.now();
    const script =
      'mkdir -p /tmp/www; echo page > /tmp/www/index.html; httpd -p 80 -h /tmp/www; cat /host/from-host; echo; [ -e /cache/kept ] || echo kept > /cache/kept; echo back > /host/from-pod; echo started; while :; do date +tick%s; sleep 1; done';
    const volumeMounts = [
      { name: 'cache', mountPath: '/cache' },
      { name: 'host', mountPath: '/host' },
    ];
    const readinessProbe = { httpGet: { path: '/', port: 80 }, periodSeconds: 1 };
    const livenessProbe = {
      exec: { command: ['sh', '-c', 'test ! -e /tmp/sick'] },
      periodSeconds: 1,
      failureThreshold: 1,
    };
    await kubelet.manifest(
      'web',
      staticPod('web', {
        containers: [
          {
            name: 'main',
            image,
            command: ['sh', '-c', script],
            resources: small,
            volumeMounts,
            readinessProbe,
            livenessProbe,
          },
          {
            name: 'beside',
            image,
            command: ['sh', '-c', 'exec sleep 1000'],
            resources: small,
            volumeMounts: volumeMounts.slice(0, 1),
          },
        ],
        volumes: [
          { name: 'cache', emptyDir: {} },
          { name: 'host', hostPath: { path: shared } },
        ],
      }),
    );
    const first = await podWhere(kubelet, 'web', 'is ready', ready);
    t.diagnostic(`ready ${Math.round(performance.now() - begin)} ms after its manifest`);
    const name = first.metadata.name;
    assert.match(await kubelet.log(name), /^of the host\nstarted\n/m);
    assert.equal((await readFile(join(shared, 'from-pod'), 'utf8')).trim(), 'back');
    const beside = await kubelet.exec(name, ['cat', '/cache/kept'], { container: 'beside' });
    assert.deepEqual(beside, { stdout: 'kept\n', stderr: '', code: 0 });
    const told = await kubelet.exec(name, ['sh', '-c', 'cat; echo wrong >&2; exit 7'], { stdin: 'words' });
    assert.deepEqual(told, { stdout: 'words', stderr: 'wrong\n', code: 7 });
    assert.match(await kubelet.attach(name, (text) => /tick\d+\n/.test(text)), /tick\d+/);
    assert.match(await kubelet.portForward(name, 80, 'GET / HTTP/1.0\r\n\r\n'), /HTTP\/1\.[01] 200/);
    await summaryTest(kubelet, name);

    // A container that its probe finds dead is made anew, beside one that goes on.
    await kubelet.exec(name, ['touch', '/tmp/sick']);
    const again = await podWhere(
      kubelet,
      'web',
      'has begun again',
      (pod) => ready(pod) && statusOf(pod).restartCount === 1,
    );
    assert.equal(statusOf(again, 'beside').restartCount, 0);
    const kept = { stdout: 'kept\n', stderr: '', code: 0 };
    assert.deepEqual(await kubelet.exec(name, ['cat', '/cache/kept']), kept, 'an emptyDir outlives its containers');

    // The runtime's process killed and started again: no container notices, and kubelet goes on.
    await cri.end('SIGKILL');
    await cri.start();
    await until('exec works again', async () => (await kubelet.exec(name, ['true'])).code === 0);
    const after = await podWhere(kubelet, 'web', 'is ready still', ready);
    assert.deepEqual(
      after.status!.containerStatuses!.map(({ containerID, restartCount }) => [containerID, restartCount]),
      again.status!.containerStatuses!.map(({ containerID, restartCount }) => [containerID, restartCount]),
    );

    // kubelet itself: it finds its Pods again.
    await kubelet.end('SIGKILL');
    await kubelet.start();
    const found = await podWhere(kubelet, 'web', 'is found again', ready);
    assert.equal(statusOf(found).containerID, statusOf(again).containerID);

    await kubelet.manifest('web', undefined);
    await until('nothing of the Pod is left in the runtime', async () => {
      const { items = [] } = await cri.client.listPodSandbox({});
      return items.length === 0;
    });
  } catch (error) {
    t.diagnostic(await kubelet.tail());
    throw error;
  } finally {
    await kubelet.stop();
  }
  assert.equal(existsSync(kubelet.directory), false);
}

interface Summary {
  pods?: {
    podRef: { name: string };
    cpu?: { usageCoreNanoSeconds?: number };
    memory?: { workingSetBytes?: number };
    network?: { name?: string; rxBytes?: number };
    containers?: { name: string; cpu?: { usageCoreNanoSeconds?: number }; memory?: { workingSetBytes?: number } }[];
    volume?: { name: string }[];
  }[];
}

async function summaryTest(kubelet: Kubelet, name: string): Promise<void> {
  const pod = await until('its statistics', async () => {
    const { pods = [] } = JSON.parse(await kubelet.get('/stats/summary')) as Summary;
    const found = pods.find(({ podRef }) => podRef.name === name);
    return found?.containers?.length === 2 && found.memory?.workingSetBytes ? found : undefined;
  });
  assert.ok(pod.cpu!.usageCoreNanoSeconds! > 0);
  for (const container of pod.containers!) assert.ok(container.memory!.workingSetBytes! > 0, container.name);
  assert.equal(pod.network?.name, 'eth0');
  assert.ok(pod.network!.rxBytes! > 0);
}
