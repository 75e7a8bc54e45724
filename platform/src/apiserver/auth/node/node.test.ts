import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../../test/integration/api-test-server.ts';
import { authenticated, nodesGroup } from '../user.ts';

const { pods, nodes, secrets, configmaps, leases, serviceaccounts } = resources;
const namespace = 'default';

let api: TestApi;
/** The node a; b is another. */
let node: KubeClient;

function podOn(nodeName: string, name: string, spec: object = {}): TestPod {
  const pod = testPod(name);
  Object.assign(pod.spec, { nodeName }, spec);
  return pod;
}

const secretVolume = (secretName: string) => ({ volumes: [{ name: 's', secret: { secretName } }] });
const merge = { namespace, type: 'application/merge-patch+json' } as const;
const asNode = (name: string) => api.server.inProcess({ name, groups: [nodesGroup, authenticated] });

before(async () => {
  api = await startTestApi();
  node = asNode('system:node:a');
  for (const name of ['of-a', 'of-b', 'of-nobody']) await api.client.create(secrets, { metadata: { name, namespace } });
  await api.client.create(configmaps, { metadata: { name: 'of-a', namespace } });
  await api.client.create(serviceaccounts, { metadata: { name: 'elsewhere', namespace } });
  const env = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'of-a', key: 'x' } } }];
  const mine = podOn('a', 'mine', secretVolume('of-a'));
  Object.assign(mine.spec.containers[0]!, { env });
  await api.client.create(pods, mine);
  await api.client.create(pods, podOn('b', 'theirs', { ...secretVolume('of-b'), serviceAccountName: 'elsewhere' }));
  for (const name of ['a', 'b']) await api.client.create(nodes, { metadata: { name } });
});
after(() => api[Symbol.asyncDispose]());

/** Forbidden, for a reason. */
const because = (reason: RegExp) => (error: SampanError) => {
  assert.match(error.message, reason);
  return isReason(error, 'Forbidden');
};
const unrelated = because(/no relationship found between node 'a' and this object/);

describe('a node reads', () => {
  test('what its Pods refer to, and nothing else by that kind', async () => {
    await node.get(secrets, 'of-a', namespace);
    await node.get(configmaps, 'of-a', namespace);
    await node.get(configmaps, 'kube-root-ca.crt', namespace).catch((error) => assert.ok(isReason(error, 'NotFound')));
    await node.list(secrets, { namespace, fieldSelector: 'metadata.name=of-a' });
    await assert.rejects(node.get(secrets, 'of-b', namespace), unrelated);
    await assert.rejects(node.get(secrets, 'of-nobody', namespace), unrelated);
    await assert.rejects(node.list(secrets, { namespace }), because(/No Object name found/));
    await assert.rejects(
      node.list(secrets, { namespace, fieldSelector: 'metadata.name!=x' }),
      because(/No Object name/),
    );
  });

  test('its own Pods, by name or by their node', async () => {
    await node.get(pods, 'mine', namespace);
    const { items } = await node.list(pods, { fieldSelector: 'spec.nodeName=a' });
    assert.deepEqual(
      items.map(({ metadata }) => metadata?.name),
      ['mine'],
    );
    await assert.rejects(node.get(pods, 'theirs', namespace), unrelated);
    for (const fieldSelector of [undefined, 'spec.nodeName=b', 'spec.nodeName!=a'])
      await assert.rejects(node.list(pods, { fieldSelector }), because(/can only list\/watch pods with spec.nodeName/));
  });

  test('itself, and no other node', async () => {
    await node.get(nodes, 'a');
    await assert.rejects(node.get(nodes, 'b'), because(/cannot read "b", only its own Node object/));
    await assert.rejects(node.list(nodes), because(/cannot read all nodes/));
  });
});

describe('a node writes', () => {
  test("its own Pods' status, without their labels, and lets them go", async () => {
    const status = { status: { message: 'seen' } };
    const to = { ...merge, subresource: 'status' };
    assert.ok(await node.patch(pods, 'mine', status, to));
    const labelled = { metadata: { labels: { x: 'y' } }, ...status };
    await assert.rejects(node.patch(pods, 'mine', labelled, to), because(/cannot update labels through pod status/));
    await assert.rejects(node.patch(pods, 'theirs', status, to), because(/can only update pod status for pods with/));
    await assert.rejects(
      node.delete(pods, 'theirs', { namespace }),
      because(/can only delete pods with spec.nodeName/),
    );
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'theirs', namespace } };
    const evicting = { namespace, name: 'theirs', subresource: 'eviction' };
    await assert.rejects(node.create(pods, eviction as KubeObject, evicting), because(/set to itself/));
  });

  test('no Pod but a mirror of one that was given to it, which holds no Secret', async () => {
    const mirror = (spec: object, more: object = {}) => {
      const pod = podOn('a', 'mirror', spec);
      const owner = { apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'u', controller: true };
      Object.assign(pod.metadata as object, {
        annotations: { 'kubernetes.io/config.mirror': 'x' },
        ownerReferences: [owner],
        ...more,
      });
      return pod;
    };
    await assert.rejects(node.create(pods, podOn('a', 'new')), because(/can only create mirror pods/));
    await assert.rejects(node.create(pods, mirror({ nodeName: 'b' })), because(/with spec.nodeName set to itself/));
    await assert.rejects(node.create(pods, mirror({}, { ownerReferences: [] })), because(/one owner reference/));
    await assert.rejects(
      node.create(pods, mirror(secretVolume('of-b'))),
      because(/can not create pods that reference secrets/),
    );
    await assert.rejects(
      node.create(pods, mirror({ serviceAccountName: 'default' })),
      because(/reference a service account/),
    );
    await node.create(pods, mirror({}));
  });

  test('its own Node, but neither its taints nor labels that would draw Pods to it', async () => {
    const patch = (name: string, body: object) => node.patch(nodes, name, body, { type: merge.type });
    await patch('a', { metadata: { labels: { 'kubernetes.io/hostname': 'a', 'example.com/rack': '1' } } });
    await assert.rejects(patch('b', { metadata: { labels: { x: 'y' } } }), because(/not allowed to modify node "b"/));
    await assert.rejects(
      patch('a', { spec: { taints: [], unschedulable: true } }).then(() =>
        patch('a', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } }),
      ),
      because(/not allowed to modify taints/),
    );
    for (const label of ['node-restriction.kubernetes.io/x', 'node-role.kubernetes.io/control-plane'])
      await assert.rejects(
        patch('a', { metadata: { labels: { [label]: '' } } }),
        because(new RegExp(`not allowed to modify labels: ${label}`)),
      );
    await assert.rejects(node.delete(nodes, 'a'), because(/cannot delete resource "nodes"/));
    const other = { metadata: { name: 'c' } };
    await assert.rejects(node.create(nodes, other), because(/not allowed to modify node "c"/));
  });

  test('its own CSINode', async () => {
    await node.create(resources.csinodes, { metadata: { name: 'a' }, spec: {} } as KubeObject);
    assert.deepEqual((await node.get<KubeObject & { spec: object }>(resources.csinodes, 'a')).spec, { drivers: [] });
    const other = { metadata: { name: 'b' }, spec: { drivers: [] } } as KubeObject;
    await assert.rejects(node.create(resources.csinodes, other), because(/can only access CSINode with the same name/));
    await assert.rejects(node.get(resources.csinodes, 'b'), because(/can only access CSINode with the same name/));
  });

  test('its own lease', async () => {
    const lease = (name: string, where: string) => ({ metadata: { name, namespace: where }, spec: {} });
    await api.client
      .create(resources.namespaces, { metadata: { name: 'kube-node-lease' } })
      .catch((error) => assert.ok(isReason(error, 'AlreadyExists')));
    await node.create(leases, lease('a', 'kube-node-lease'));
    await assert.rejects(
      node.create(leases, lease('b', 'kube-node-lease')),
      because(/same name as the requesting node/),
    );
    await assert.rejects(node.create(leases, lease('a', namespace)), because(/can only access leases in the/));
  });
});

test('a node asks for tokens of its own Pods alone', async () => {
  const uid = async (name: string) => (await api.client.get(pods, name, namespace)).metadata?.uid;
  const ask = (name: string, boundObjectRef: object | undefined, as = node) =>
    as.create(
      serviceaccounts,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { boundObjectRef } } as KubeObject,
      {
        namespace,
        name,
        subresource: 'token',
      },
    );
  await ask('default', { kind: 'Pod', name: 'mine', uid: await uid('mine') });
  await assert.rejects(ask('default', undefined), because(/not bound to a pod/));
  await assert.rejects(ask('default', { kind: 'Pod', name: 'mine' }), because(/without a uid/));
  await assert.rejects(ask('elsewhere', { kind: 'Pod', name: 'theirs', uid: await uid('theirs') }), unrelated);
  // It has a Pod of that account itself, and still the token of another's is not for it.
  await api.client.create(pods, podOn('a', 'also-elsewhere', { serviceAccountName: 'elsewhere' }));
  await assert.rejects(
    ask('elsewhere', { kind: 'Pod', name: 'theirs', uid: await uid('theirs') }),
    because(/bound to a pod scheduled on a different node/),
  );
});

test('who is of the group of nodes and bears no name of a node may do nothing', async () => {
  const nobody = asNode('someone');
  await assert.rejects(nobody.get(secrets, 'of-a', namespace), because(/unknown node for user "someone"/));
  await assert.rejects(nobody.list(pods, { fieldSelector: 'spec.nodeName=' }), because(/unknown node/));
});
