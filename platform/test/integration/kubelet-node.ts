/** A real kubelet as a node of our API server: its certificate, Pods of both runtime classes with every kind of volume, and kubectl by way of the API server. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { parse } from 'yaml';
import { run } from '../../src/base/child.ts';
import { freePort } from '../fixtures/free-port.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { Kubelet } from './support/kubelet-lab.ts';
import { bootstrapKubeconfig, fullPod } from './support/kubelet-pods.ts';
import { throughApi } from './support/kubelet-through-api.ts';
import { kubeletBinary, newKubeletWorld, podGroups, stopped } from './support/kubelet-world.ts';
import { createPod, isReady, type TestPod } from './support/pods.ts';
import { until } from './support/wait.ts';

export async function asNode(t: TestContext): Promise<void> {
  await using lab = await newKubeletWorld();
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
    binary: kubeletBinary,
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
