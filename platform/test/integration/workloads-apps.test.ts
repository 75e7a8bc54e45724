/** Deployments, ReplicaSets and StatefulSets as kubectl's users know them, on a node without machines. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { systemUser } from '../../src/apiserver/auth/user.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type Controllers, createControllers } from '../../src/controllers/controllers.ts';
import { type FakeKubelet, startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { startTestApi, type TestApi } from './api-test-server.ts';
import { findKubectls, runKubectl } from './kubectl-server.ts';
import { until } from './support/wait.ts';

const kubectls = findKubectls().filter(({ version }) => version === '1.27' || version === '1.33');
if (kubectls.length === 0) test('kubectl', (t) => t.skip('neither kubectl 1.27 nor 1.33 on this machine'));

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Loose = any;

let api: TestApi;
let controllers: Controllers;
let kubelet: FakeKubelet;
let kubeconfig: string;
/** Images that never get ready. */
const broken = /:broken$/;

before(async () => {
  api = await startTestApi();
  ({ kubeconfig } = await api.listen());
  controllers = createControllers({
    clientFor: (name) => api.server.inProcess(systemUser(name)),
    log: silentLogger,
    kinds: allKinds,
    namespaced: allKinds.filter((kind) => kind.ref.namespaced).map((kind) => kind.ref),
    caCertificate: 'none',
  });
  await controllers.start();
  const fate = (pod: Loose) => (broken.test(pod.spec.containers[0].image) ? 'running' : 'ready');
  kubelet = await startFakeKubelet({ client: api.client, fate });
});

after(async () => {
  await kubelet?.[Symbol.asyncDispose]();
  await controllers?.close();
  await api?.[Symbol.asyncDispose]();
});

for (const kubectl of kubectls) {
  describe(`workloads with kubectl ${kubectl.version}`, () => {
    const namespace = `w${kubectl.version.replace('.', '-')}`;

    async function run(args: string[], input?: string) {
      return runKubectl(kubectl, ['-n', namespace, ...args], { kubeconfig, home: api.directory, input });
    }

    /** What it printed; fails when it failed. */
    async function ok(args: string[], input?: string): Promise<string> {
      const { code, stdout, stderr } = await run(args, input);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    }

    async function fails(args: string[], message: RegExp, input?: string): Promise<void> {
      const { code, stderr } = await run(args, input);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    }

    const list = async (ref: (typeof resources)['pods' | 'replicasets' | 'deployments'], labelSelector = '') =>
      (await api.client.list<KubeObject & Loose>(ref, { namespace, labelSelector })).items as Loose[];
    const podsOf = (app: string) => list(resources.pods, `app=${app}`);

    before(async () => {
      await api.client.create(resources.namespaces, { metadata: { name: namespace } });
      await eventually(async () =>
        assert.ok(await api.client.get(resources.serviceaccounts, 'default', namespace).catch(() => undefined)),
      );
    });

    test('create makes Pods, and rollout status waits for them', async () => {
      await ok(['create', 'deployment', 'web', '--image=registry.example/web:1', '--replicas=3']);
      const text = await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      assert.match(text, /deployment "web" successfully rolled out/);
      assert.match(
        await ok(['get', 'deployment', 'web']),
        /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +3\/3 +3 +3 /,
      );
      assert.match(
        await ok(['get', 'rs', '-o', 'wide']),
        /^NAME +DESIRED +CURRENT +READY +AGE +CONTAINERS +IMAGES +SELECTOR\nweb-[a-z0-9]+ +3 +3 +3 .*registry\.example\/web:1 +app=web,pod-template-hash=/,
      );
      assert.match(await ok(['get', 'all']), /deployment\.apps\/web/);
      assert.match(
        await ok(['describe', 'deployment', 'web']),
        /ScalingReplicaSet|Available +True +MinimumReplicasAvailable/,
      );
    });

    test('scale goes up and down, and refuses what is no number of Pods', async () => {
      await ok(['scale', 'deployment/web', '--replicas=5']);
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      assert.equal((await podsOf('web')).length, 5);
      await ok(['scale', 'deployment/web', '--current-replicas=5', '--replicas=2']);
      await eventually(async () => assert.equal((await podsOf('web')).length, 2));
      await fails(
        ['scale', 'deployment/web', '--current-replicas=9', '--replicas=1'],
        /Expected replicas to be 9, was 2/,
      );
      await eventually(async () => {
        const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web/scale`;
        const { kind, status } = JSON.parse(await ok(['get', '--raw', path]));
        assert.deepEqual([kind, status], ['Scale', { replicas: 2, selector: 'app=web' }]);
      });
      await fails(
        ['patch', 'deployment', 'web', '-p', '{"spec":{"replicas":-1}}'],
        /must be greater than or equal to 0/,
      );
    });

    test('set image rolls over, history tells, undo goes back', async () => {
      await ok(['scale', 'deployment/web', '--replicas=3']);
      await ok(['set', 'image', 'deployment/web', 'web=registry.example/web:2']);
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      await eventually(async () => {
        const images = (await podsOf('web')).map((pod) => pod.spec.containers[0].image);
        assert.deepEqual(images, Array(3).fill('registry.example/web:2'));
      });
      assert.match(await ok(['rollout', 'history', 'deployment/web']), /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>/);
      assert.match(await ok(['rollout', 'history', 'deployment/web', '--revision=1']), /registry\.example\/web:1/);
      await ok(['rollout', 'undo', 'deployment/web']);
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      await eventually(async () => {
        const images = (await podsOf('web')).map((pod) => pod.spec.containers[0].image);
        assert.deepEqual(images, Array(3).fill('registry.example/web:1'));
      });
      assert.match(await ok(['rollout', 'history', 'deployment/web']), /REVISION +CHANGE-CAUSE\n2 +<none>\n3 +<none>/);
      assert.equal((await list(resources.replicasets, 'app=web')).length, 2);
    });

    test('a paused Deployment keeps its Pods until it is resumed', async () => {
      await ok(['rollout', 'pause', 'deployment/web']);
      await ok(['set', 'image', 'deployment/web', 'web=registry.example/web:3']);
      await eventually(async () => {
        const [web] = await list(resources.deployments, 'app=web');
        assert.equal(web.status.observedGeneration, web.metadata.generation);
        const progressing = web.status.conditions.find(({ type }: { type: string }) => type === 'Progressing');
        assert.equal(progressing.reason, 'DeploymentPaused');
      });
      const images = (await podsOf('web')).map((pod) => pod.spec.containers[0].image);
      assert.ok(images.every((image) => image === 'registry.example/web:1'));
      await ok(['rollout', 'resume', 'deployment/web']);
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      assert.equal((await list(resources.replicasets, 'app=web')).length, 3);
    });

    test('rollout restart replaces every Pod, and never has too few or too many', async () => {
      const before = (await podsOf('web')).map((pod) => pod.metadata.uid);
      await ok(['rollout', 'restart', 'deployment/web']);
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      await eventually(async () => {
        const now = (await podsOf('web')).map((pod) => pod.metadata.uid);
        assert.equal(now.length, 3);
        assert.ok(now.every((uid) => !before.includes(uid)));
      });
    });

    test('a Pod that loses its labels is let go and replaced, and taken back with them', async () => {
      const [chosen] = await podsOf('web');
      const { name, uid } = chosen.metadata;
      await ok(['label', 'pod', name, 'app=aside', '--overwrite']);
      await eventually(async () => {
        assert.equal((await podsOf('web')).length, 3);
        const [aside] = await podsOf('aside');
        assert.deepEqual([aside.metadata.uid, aside.metadata.ownerReferences ?? []], [uid, []]);
      });
      await ok(['label', 'pod', name, 'app=web', '--overwrite']);
      await eventually(async () => {
        const pods = await podsOf('web');
        assert.equal(pods.length, 3);
        assert.ok(pods.every((pod) => pod.metadata.ownerReferences?.[0]?.kind === 'ReplicaSet'));
      });
    });

    test('a rollout that cannot go on says so after its deadline and keeps the old Pods', async () => {
      const patch = { spec: { progressDeadlineSeconds: 1, strategy: { rollingUpdate: { maxUnavailable: 0 } } } };
      await ok(['patch', 'deployment', 'web', '-p', JSON.stringify(patch)]);
      await ok(['set', 'image', 'deployment/web', 'web=registry.example/web:broken']);
      await fails(['rollout', 'status', 'deployment/web', '--timeout=60s'], /exceeded its progress deadline/);
      const ready = (await podsOf('web')).filter((pod) => !broken.test(pod.spec.containers[0].image));
      assert.equal(ready.length, 3);
      // The way back has more time.
      await ok(['patch', 'deployment', 'web', '-p', '{"spec":{"progressDeadlineSeconds":600}}']);
      await ok(['rollout', 'undo', 'deployment/web']);
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
    });

    test('Recreate has no Pod of the new template before the last old one is gone', async () => {
      await ok(['apply', '-f', '-'], deployment('once', { strategy: { type: 'Recreate' } }));
      await ok(['rollout', 'status', 'deployment/once', '--timeout=60s']);
      const names = new Map<string, string>();
      const stop = new AbortController();
      const { resourceVersion } = await api.client.list(resources.pods, { namespace });
      const watching = (async () => {
        const watch = api.client.watch<Loose>(resources.pods, { namespace, resourceVersion }, stop.signal);
        const live = new Map((await podsOf('once')).map((pod) => [pod.metadata.name, pod.spec.containers[0].image]));
        for await (const event of watch) {
          const { metadata, spec } = event.object as Loose;
          if (metadata.labels?.app !== 'once') continue;
          if (event.type === 'DELETED') live.delete(metadata.name);
          else live.set(metadata.name, spec.containers[0].image);
          if (new Set(live.values()).size > 1) names.set(metadata.name, [...live.values()].join());
        }
      })();
      await ok(['set', 'image', 'deployment/once', 'main=registry.example/app:2']);
      await ok(['rollout', 'status', 'deployment/once', '--timeout=60s']);
      stop.abort();
      await watching;
      assert.deepEqual([...names], []);
      await ok(['delete', 'deployment', 'once']);
    });

    test('delete takes Pods along; orphan leaves them; foreground waits for them', async () => {
      await ok(['apply', '-f', '-'], deployment('gone'));
      await ok(['rollout', 'status', 'deployment/gone', '--timeout=60s']);
      await ok(['delete', 'deployment', 'gone']);
      await eventually(async () => {
        assert.deepEqual(await podsOf('gone'), []);
        assert.deepEqual(await list(resources.replicasets, 'app=gone'), []);
      });

      await ok(['apply', '-f', '-'], deployment('stay'));
      await ok(['rollout', 'status', 'deployment/stay', '--timeout=60s']);
      await ok(['delete', 'deployment', 'stay', '--cascade=orphan']);
      const [set] = await list(resources.replicasets, 'app=stay');
      assert.equal(set.metadata.ownerReferences, undefined);
      await ok(['delete', 'rs', set.metadata.name, '--cascade=orphan']);
      const pods = await podsOf('stay');
      assert.equal(pods.length, 2);
      assert.ok(pods.every((pod) => pod.metadata.ownerReferences === undefined));
      // The same Deployment again takes them back instead of making others.
      await ok(['apply', '-f', '-'], `${JSON.stringify(orphanSet(set))}\n`);
      await eventually(async () => {
        const adopted = await podsOf('stay');
        assert.deepEqual(adopted.map((pod) => pod.metadata.uid).sort(), pods.map((pod) => pod.metadata.uid).sort());
        assert.ok(adopted.every((pod) => pod.metadata.ownerReferences?.[0]?.kind === 'ReplicaSet'));
      });
      await ok(['delete', 'rs', set.metadata.name, '--cascade=foreground']);
      assert.deepEqual(await podsOf('stay'), []);
    });

    test('a StatefulSet makes its Pods in order, rolls them from the last, and undoes', async () => {
      await ok(['apply', '-f', '-'], statefulSet('db'));
      await ok(['rollout', 'status', 'statefulset/db', '--timeout=60s']);
      const pods = await podsOf('db');
      assert.deepEqual(pods.map((pod) => pod.metadata.name).sort(), ['db-0', 'db-1', 'db-2']);
      const [first] = pods.filter((pod) => pod.metadata.name === 'db-0');
      assert.equal(first.spec.hostname, 'db-0');
      assert.equal(first.metadata.labels['apps.kubernetes.io/pod-index'], '0');
      assert.match(await ok(['get', 'sts', 'db']), /^NAME +READY +AGE\ndb +3\/3 /);
      await ok(['patch', 'sts', 'db', '-p', '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}']);
      await ok(['set', 'image', 'sts/db', 'main=registry.example/app:2']);
      await eventually(async () => {
        const images = (await podsOf('db')).sort(byName).map((pod) => pod.spec.containers[0].image.at(-1));
        assert.deepEqual(images, ['1', '1', '2']);
      });
      await ok(['patch', 'sts', 'db', '-p', '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}']);
      await ok(['rollout', 'status', 'statefulset/db', '--timeout=60s']);
      assert.match(await ok(['rollout', 'history', 'sts/db']), /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>/);
      await ok(['rollout', 'undo', 'sts/db']);
      await ok(['rollout', 'status', 'statefulset/db', '--timeout=60s']);
      await eventually(async () => {
        const images = (await podsOf('db')).map((pod) => pod.spec.containers[0].image.at(-1));
        assert.deepEqual(images, ['1', '1', '1']);
      });
      await ok(['scale', 'sts/db', '--replicas=1']);
      await eventually(async () =>
        assert.deepEqual(
          (await podsOf('db')).map((pod) => pod.metadata.name),
          ['db-0'],
        ),
      );
      await fails(
        ['patch', 'sts', 'db', '-p', '{"spec":{"serviceName":"other"}}'],
        /updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'/,
      );
      await ok(['delete', 'sts', 'db']);
      await eventually(async () => assert.deepEqual(await podsOf('db'), []));
    });

    test('a Deployment deleted in the foreground is gone when its sets and Pods are', async () => {
      await ok(['apply', '-f', '-'], deployment('last'));
      await ok(['rollout', 'status', 'deployment/last', '--timeout=60s']);
      await ok(['delete', 'deployment', 'last', '--cascade=foreground']);
      assert.deepEqual(await podsOf('last'), []);
      assert.deepEqual(await list(resources.replicasets, 'app=last'), []);
    });

    test('from none to two hundred Pods takes seconds', async (t) => {
      await ok(['apply', '-f', '-'], deployment('many', { replicas: 0 }));
      const begin = performance.now();
      await ok(['scale', 'deployment/many', '--replicas=200']);
      await ok(['rollout', 'status', 'deployment/many', '--timeout=60s']);
      const tookMs = performance.now() - begin;
      t.diagnostic(`made, bound, run by a node without machines and told by kubectl: ${Math.round(tookMs)} ms`);
      assert.equal((await podsOf('many')).length, 200);
      await ok(['scale', 'deployment/many', '--replicas=0']);
      await eventually(async () => assert.equal((await podsOf('many')).length, 0));
      assert.ok(tookMs < 45_000, `${tookMs} ms`);
    });

    test('what is wrong with a workload is refused in the words of Kubernetes', async () => {
      const wrong = deployment('wrong').replace('"labels":{"app":"wrong"}', '"labels":{"app":"other"}');
      await fails(
        ['create', '-f', '-'],
        /spec\.template\.metadata\.labels: Invalid value: .*`selector` does not match template `labels`/,
        wrong,
      );
      const never = deployment('never', {}, { restartPolicy: 'Never' });
      await fails(
        ['create', '-f', '-'],
        /spec\.template\.spec\.restartPolicy: Unsupported value: "Never": supported values: "Always"/,
        never,
      );
      await fails(
        ['patch', 'deployment', 'web', '--type=merge', '-p', '{"spec":{"selector":{"matchLabels":{"a":"b"}}}}'],
        /spec\.selector: Invalid value: .*field is immutable/,
      );
      const claims = statefulSet('claims', { volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }] });
      await fails(['create', '-f', '-'], /spec\.volumeClaimTemplates: Forbidden: not supported by this server/, claims);
    });

    test('a namespace goes with all its workloads, and nothing comes back in it', async () => {
      await ok(['delete', 'namespace', namespace, '--timeout=60s']);
      assert.deepEqual(await list(resources.pods), []);
      assert.deepEqual(await list(resources.replicasets), []);
    });
  });
}

/** Until `check` no longer throws; then its last complaint is what failed. */
async function eventually(check: () => Promise<void>): Promise<void> {
  await until('what the test waits for', async () => {
    await check();
    return true;
  });
}

const byName = (a: Loose, b: Loose): number => (a.metadata.name < b.metadata.name ? -1 : 1);

function deployment(app: string, spec: object = {}, podSpec: object = {}): string {
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: app },
    spec: { replicas: 2, ...workload(app, podSpec), ...spec },
  });
}

function statefulSet(app: string, spec: object = {}): string {
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: app },
    spec: { replicas: 3, serviceName: app, ...workload(app), ...spec },
  });
}

function workload(app: string, podSpec: object = {}): object {
  const containers = [{ name: 'main', image: 'registry.example/app:1' }];
  const template = { metadata: { labels: { app } }, spec: { containers, ...podSpec } };
  return { selector: { matchLabels: { app } }, template };
}

/** The set as a user would write it again. */
function orphanSet(set: Loose): object {
  const { name, labels } = set.metadata;
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name, labels }, spec: set.spec };
}
