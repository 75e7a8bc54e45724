/**
 * A real kubelet (Kubernetes' own, built from its Go module) over `./sampan cri`: alone with static Pods, and as a node of our API server. Runs itself again
 * in a mount namespace of its own, since kubelet mounts volumes and sets kernel settings.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { parse } from 'yaml';
import { binaryOf } from '../../../tools/conformance/go-programs.ts';
import { run } from '../../src/base/child.ts';
import { PodSandboxState } from '../../src/runtime/generated/cri.ts';
import { freePort } from '../fixtures/free-port.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { CgroupTree } from './support/cgroup-tree.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { besideTheHost, Kubelet, type KubeletPod } from './support/kubelet-lab.ts';
import { bootstrapKubeconfig, fullPod, webPod } from './support/kubelet-pods.ts';
import { throughApi } from './support/kubelet-through-api.ts';
import { testInside } from './support/own-namespaces.ts';
import { createPod, isReady, type TestPod } from './support/pods.ts';
import { until } from './support/wait.ts';

const binary = binaryOf('kubelet');
const unbuilt = () =>
  existsSync(binary) ? undefined : 'kubelet is not built: npm run kubelet builds it, in some minutes';

testInside(
  'a real kubelet over sampan cri, in a mount namespace of its own',
  {
    file: import.meta.filename,
    namespaces: ['mount'],
    timeoutMs: 500_000,
    obstacle: () => missingForCri() ?? unbuilt(),
    tells: /^.*ℹ .*(ms|MiB).*$/gm,
  },
  () =>
    describe('kubelet', () => {
      test('alone, with static Pods', alone);
      test('as a node of our API server, with Pods of both runtime classes', asNode);
    }),
);

interface Lab extends AsyncDisposable {
  home: string;
  cri: CriLab;
  registry: Registry;
  image: string;
  /** kubelet's. */
  cgroups: CgroupTree;
}

async function newLab(): Promise<Lab> {
  const home = await mkdtemp('/var/tmp/sampan-kubelet-');
  await besideTheHost(join(home, 'settings'));
  const registry = await startRegistry();
  const image = await registry.pushImage(await buildImage('busybox'), 'kubelet/busybox:1');
  const cri = await CriLab.open('kubelet-cri');
  const cgroups = await CgroupTree.make();
  return {
    ...{ home, cri, registry, image, cgroups },
    [Symbol.asyncDispose]: async () => {
      await cri[Symbol.asyncDispose]();
      await cgroups[Symbol.asyncDispose]();
      await registry.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** The Pod of a manifest, once it is as `probe` wants it: kubelet adds its node's name to that of a static one. */
const podWhere = (kubelet: Kubelet, name: string, what: string, probe: (pod: KubeletPod) => boolean) =>
  until(
    `${name} ${what}`,
    async () => {
      const found = (await kubelet.pods()).find(({ metadata }) => metadata.name.replace(/-kubelet$/, '') === name);
      return found && probe(found) ? found : undefined;
    },
    120_000,
  );

const ready = (pod: KubeletPod): boolean =>
  (pod.status?.containerStatuses ?? []).length > 0 && pod.status!.containerStatuses!.every((one) => one.ready);

const statusOf = (pod: KubeletPod, name = 'main') => pod.status!.containerStatuses!.find((one) => one.name === name)!;

async function alone(t: TestContext): Promise<void> {
  await using lab = await newLab();
  const { cri, home, cgroups } = lab;
  const kubelet = new Kubelet({
    cgroupRoot: cgroups.path,
    directory: join(home, 'kubelet'),
    binary,
    criSocket: cri.socketPath,
    port: await freePort(),
  });
  await kubelet.start();
  try {
    const pod = await servesItsPod(t, lab, kubelet);
    const again = await beginsAgain(kubelet, pod.metadata.name);
    await outlivesItsParts(cri, kubelet, again);
    await kubelet.manifest('web', undefined);
    await stopped(cri);
    await until("the Pod's control group is gone", async () => podGroups(cgroups).length === 0);
  } catch (error) {
    t.diagnostic(await kubelet.tail());
    throw error;
  } finally {
    await kubelet.stop();
  }
  assert.equal(existsSync(kubelet.directory), false);
}

/** Its containers, volumes, probes and statistics, and what can be done to them. */
async function servesItsPod(t: TestContext, { home, image, cgroups }: Lab, kubelet: Kubelet): Promise<KubeletPod> {
  const shared = join(home, 'shared');
  await run('mkdir', [shared]);
  await writeFile(join(shared, 'from-host'), 'of the host');
  const begin = performance.now();
  await kubelet.manifest('web', webPod(image, shared));
  const pod = await podWhere(kubelet, 'web', 'is ready', ready);
  t.diagnostic(`ready ${Math.round(performance.now() - begin)} ms after its manifest`);
  const { name } = pod.metadata;
  assert.match(await kubelet.log(name), /^of the host\nstarted\n/m);
  assert.equal((await readFile(join(shared, 'from-pod'), 'utf8')).trim(), 'back');
  const beside = await kubelet.exec(name, ['cat', '/cache/kept'], { container: 'beside' });
  assert.deepEqual(beside, { stdout: 'kept\n', stderr: '', code: 0 });
  const told = await kubelet.exec(name, ['sh', '-c', 'cat; echo wrong >&2; exit 7'], { stdin: 'words' });
  assert.deepEqual(told, { stdout: 'words', stderr: 'wrong\n', code: 7 });
  assert.match(await kubelet.attach(name, (text) => /tick\d+\n/.test(text)), /tick\d+/);
  assert.match(await kubelet.portForward(name, 80, 'GET / HTTP/1.0\r\n\r\n'), /HTTP\/1\.[01] 200/);
  await summaryTest(kubelet, name);
  await beneathItsPod(cgroups, pod);
  return pod;
}

/** A container that its probe finds dead is made anew, beside one that goes on. */
async function beginsAgain(kubelet: Kubelet, name: string): Promise<KubeletPod> {
  await kubelet.exec(name, ['touch', '/tmp/sick']);
  const hasBegunAgain = (pod: KubeletPod) => ready(pod) && statusOf(pod).restartCount === 1;
  const again = await podWhere(kubelet, 'web', 'has begun again', hasBegunAgain);
  assert.equal(statusOf(again, 'beside').restartCount, 0);
  const kept = { stdout: 'kept\n', stderr: '', code: 0 };
  assert.deepEqual(await kubelet.exec(name, ['cat', '/cache/kept']), kept, 'an emptyDir outlives its containers');
  return again;
}

/** The runtime's process and kubelet itself are killed and started again: no container notices. */
async function outlivesItsParts(cri: CriLab, kubelet: Kubelet, pod: KubeletPod): Promise<void> {
  const lives = ({ status }: KubeletPod) =>
    status!.containerStatuses!.map(({ containerID, restartCount }) => [containerID, restartCount]);
  await cri.end('SIGKILL');
  await cri.start();
  await until('exec works again', async () => (await kubelet.exec(pod.metadata.name, ['true'])).code === 0);
  assert.deepEqual(lives(await podWhere(kubelet, 'web', 'is ready still', ready)), lives(pod));
  await kubelet.end('SIGKILL');
  await kubelet.start();
  assert.deepEqual(lives(await podWhere(kubelet, 'web', 'is found again', ready)), lives(pod));
}

/** What kubelet has made for Pods, and what is beneath it. */
const podGroups = (cgroups: CgroupTree) => cgroups.groups().filter((path) => /(^|\/)pod[0-9a-f]/.test(path));

/** A Pod's processes are in the group that kubelet bounds the Pod by. */
async function beneathItsPod(cgroups: CgroupTree, { metadata: { uid } }: KubeletPod): Promise<void> {
  const group = podGroups(cgroups).find((path) => path.endsWith(`/pod${uid}`));
  assert.ok(group, `kubelet made ${podGroups(cgroups).join(' ')}`);
  const path = join(cgroups.path, group);
  assert.ok((await cgroups.members(path)).length > 0);
  assert.ok((await cgroups.memoryBytes(path)) > 16 * 1024 * 1024, 'what its machine uses counts for the Pod');
}

/** kubelet collects what is left of sandboxes once a minute; what they held is gone before. */
async function stopped({ client }: CriLab): Promise<void> {
  await until('no sandbox of a Pod runs', async () => {
    const { items = [] } = await client.listPodSandbox({});
    return items.every(({ state }) => state === PodSandboxState.SANDBOX_NOTREADY);
  });
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

async function asNode(t: TestContext): Promise<void> {
  await using lab = await newLab();
  const { cri, home, image, cgroups } = lab;
  process.env.SAMPAN_POOL = '0';
  const instance = await startInstance('kubelet-api');
  const { client } = instance;
  const admin = parse(await readFile(instance.kubeconfig, 'utf8')) as AdminKubeconfig;
  const authority = admin.clusters[0]!.cluster['certificate-authority-data'];
  const { 'client-certificate-data': cert, 'client-key-data': key } = admin.users[0]!.user;
  const [caFile, bootstrap] = [join(instance.home, 'pki/client-ca.crt'), join(home, 'bootstrap.kubeconfig')];
  await bootstrapKubeconfig(instance, authority, bootstrap);
  const kubelet = new Kubelet({
    cgroupRoot: cgroups.path,
    directory: join(home, 'kubelet'),
    binary,
    criSocket: cri.socketPath,
    port: await freePort(),
    flags: [`--bootstrap-kubeconfig=${bootstrap}`, `--kubeconfig=${join(home, 'kubelet.kubeconfig')}`],
    config: {
      // Where the API server finds it: the host's own address, as its Node says.
      address: '0.0.0.0',
      rotateCertificates: true,
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: caFile } },
      authorization: { mode: 'Webhook' },
    },
    credentials: { cert: atob(cert), key: atob(key) },
  });
  try {
    await client.create(
      resources.configmaps,
      { metadata: { name: 'conf' }, data: { colour: 'green', 'app.ini': 'one\n' } } as KubeObject,
      { namespace: 'default' },
    );
    await client.create(
      resources.secrets,
      { metadata: { name: 'keys' }, stringData: { password: 'hush\n' } } as KubeObject,
      { namespace: 'default' },
    );
    await kubelet.start();
    await nodeTest(client);
    const shared = join(home, 'shared');
    await run('mkdir', [shared]);
    for (const handler of ['vm', 'namespace']) await createPod(client, fullPod(handler, image, shared));
    for (const handler of ['vm', 'namespace']) {
      const begin = performance.now();
      const pod = await isReady(client, `full-${handler}`, 120_000);
      t.diagnostic(`${handler}: ready after ${Math.round(performance.now() - begin)} ms more`);
      await volumesTest(kubelet, instance, pod);
    }
    await throughApi(instance, 'full-vm');
    await client.patch(
      resources.configmaps,
      'conf',
      { data: { 'app.ini': 'two\n' } },
      { namespace: 'default', type: 'application/merge-patch+json' },
    );
    for (const handler of ['vm', 'namespace'])
      await until(
        `${handler} sees the ConfigMap change`,
        async () => (await kubelet.exec(`full-${handler}`, ['cat', '/conf/app.ini'])).stdout === 'two\n',
        90_000,
      );
    for (const handler of ['vm', 'namespace']) {
      await client.delete(resources.pods, `full-${handler}`, { namespace: 'default' });
      await until(`full-${handler} is gone`, async () => {
        const { items } = await client.list(resources.pods, { namespace: 'default' });
        return items.every(({ metadata }) => metadata?.name !== `full-${handler}`);
      });
      assert.equal(await readFile(join(shared, handler), 'utf8'), 'bye\n', 'it had the time to end');
    }
    await stopped(cri);
    await until("the Pods' control groups are gone", async () => podGroups(cgroups).length === 0);
  } catch (error) {
    t.diagnostic(`${error}\n${await kubelet.tail()}`);
    throw error;
  } finally {
    await kubelet.stop();
    await instance.stop();
  }
}

interface AdminKubeconfig {
  clusters: { cluster: { 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

/** The Node as kubelet registered it, with a certificate of its own for which it asked. */
async function nodeTest(client: KubeClient): Promise<void> {
  const node = await until('the Node is ready', async () => {
    const found = await client.get<KubeObject & { status: NodeStatus }>(resources.nodes, 'kubelet');
    return found.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
      ? found
      : undefined;
  });
  const { nodeInfo, runtimeHandlers = [] } = node.status;
  assert.match(nodeInfo!.containerRuntimeVersion, /^sampan:\/\//);
  assert.deepEqual(runtimeHandlers.map(({ name = '' }) => name).sort(), ['', 'namespace', 'vm']);
  const { items } = await client.list(resources.certificatesigningrequests);
  const [request] = items as unknown as { spec: { username: string; signerName: string } }[];
  assert.deepEqual(
    [request!.spec.username, request!.spec.signerName],
    ['system:serviceaccount:kube-system:bootstrapper', 'kubernetes.io/kube-apiserver-client-kubelet'],
  );
}

interface NodeStatus {
  conditions?: { type: string; status: string }[];
  nodeInfo?: { containerRuntimeVersion: string };
  runtimeHandlers?: { name?: string }[];
}

async function volumesTest(kubelet: Kubelet, instance: TestInstance, pod: TestPod): Promise<void> {
  const name = pod.metadata!.name!;
  const handler = pod.metadata!.labels!.kind;
  assert.equal(
    await kubelet.log(name),
    `one\nhush\nkind="${handler}"one\ninit\ngreen hush\n ${pod.status!.podIP}\npart\nmem is tmpfs\nstarted\n`,
  );
  const { stdout: token } = await kubelet.exec(name, ['cat', '/var/run/secrets/kubernetes.io/serviceaccount/token']);
  const { stdout: projected } = await kubelet.exec(name, ['cat', '/all/token']);
  for (const one of [token, projected])
    assert.equal(await whoIs(instance, one), 'system:serviceaccount:default:default');
}

/** The user that the API server takes the token's bearer for. */
async function whoIs({ client }: TestInstance, token: string): Promise<string | undefined> {
  const reviews = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews', namespaced: false };
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } } as KubeObject;
  const answer = await client.create<KubeObject & { status?: { user?: { username?: string } } }>(reviews, review);
  return answer.status?.user?.username;
}
