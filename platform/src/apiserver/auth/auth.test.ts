import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import { startTestApi, type TestApi, testPod } from '../../../test/integration/api-test-server.ts';
import { FakeClock } from '../../base/clock.ts';
import { serviceAccountUser } from './user.ts';

const { pods, serviceaccounts } = resources;
const clock = new FakeClock(Date.now());
let api: TestApi;
before(async () => {
  api = await startTestApi({ clock });
});
after(() => api[Symbol.asyncDispose]());

type TokenRequest = KubeObject & { status: { token: string; expirationTimestamp: string } };
type TokenReview = KubeObject & { status: { authenticated: boolean; user?: { username: string; extra?: object } } };

async function requestToken(spec: object = {}): Promise<string> {
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec } as KubeObject;
  const where = { namespace: 'default', name: 'default', subresource: 'token' };
  return ((await api.client.create(serviceaccounts, request, where)) as TokenRequest).status.token;
}

const tokenreviews = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews', namespaced: false };
async function review(token: string, audiences?: string[]): Promise<TokenReview['status']> {
  const answer = await api.client.create(tokenreviews, { spec: { token, audiences } } as KubeObject);
  return (answer as TokenReview).status;
}

describe('service account tokens', () => {
  test("are their account's, until they expire", async () => {
    const token = await requestToken({ expirationSeconds: 600 });
    assert.equal((await review(token)).user?.username, 'system:serviceaccount:default:default');
    await clock.advance(601_000);
    assert.equal((await review(token)).authenticated, false);
  });

  test('are good for their audience alone', async () => {
    const token = await requestToken({ audiences: ['vault'] });
    assert.equal((await review(token)).authenticated, false);
    assert.equal((await review(token, ['vault', 'other'])).authenticated, true);
  });

  test('bound to a Pod end with it, even when another takes its name', async () => {
    const pod = await api.client.create(pods, testPod('bound'));
    const token = await requestToken({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'bound' } });
    assert.deepEqual((await review(token)).user?.extra, {
      ...(await review(token)).user?.extra,
      'authentication.kubernetes.io/pod-name': ['bound'],
      'authentication.kubernetes.io/pod-uid': [pod.metadata?.uid],
    });
    await api.client.delete(pods, 'bound', { namespace: 'default' });
    await api.client.create(pods, testPod('bound'));
    assert.equal((await review(token)).authenticated, false);
  });

  test('bound to a Pod on a node tell of the node', async () => {
    const node: KubeObject = await api.client.create(resources.nodes, { metadata: { name: 'here' } });
    const pod = testPod('placed');
    pod.spec.nodeName = 'here';
    await api.client.create(pods, pod);
    const token = await requestToken({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'placed' } });
    const extra = (await review(token)).user?.extra as Record<string, string[]> | undefined;
    assert.deepEqual(extra?.['authentication.kubernetes.io/node-name'], ['here']);
    assert.deepEqual(extra?.['authentication.kubernetes.io/node-uid'], [node.metadata?.uid]);
  });

  test("of which a bit was changed are nobody's", async () => {
    const token = await requestToken();
    const [header, , signature] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ sub: 'system:serviceaccount:kube-system:x' })).toString('base64url');
    assert.equal((await review(`${header}.${forged}.${signature}`)).authenticated, false);
    assert.equal((await review(`${token.slice(0, -4)}AAAA`)).authenticated, false);
    assert.equal((await review('not-a-token')).authenticated, false);
  });

  test('that would last less than ten minutes are refused, naming the field', async () => {
    await assert.rejects(requestToken({ expirationSeconds: 60 }), (error: SampanError) => {
      assert.equal(error.details.causes?.[0]?.field, 'spec.expirationSeconds');
      return isReason(error, 'Invalid');
    });
  });
});

describe('authorisation', () => {
  const account = serviceAccountUser('default', 'default', 'uid');
  const accessReviews = {
    group: 'authorization.k8s.io',
    version: 'v1',
    resource: 'selfsubjectaccessreviews',
    namespaced: false,
  };

  test('a service account may ask about itself and no more', async () => {
    const client = api.server.inProcess(account);
    const spec = { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } };
    const answer = (await client.create(accessReviews, { spec } as KubeObject)) as KubeObject & {
      status: { allowed: boolean };
    };
    assert.equal(answer.status.allowed, false);
    await assert.rejects(client.list(pods, { namespace: 'default' }), (error: SampanError) => {
      assert.equal(
        error.message,
        'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"',
      );
      return isReason(error, 'Forbidden');
    });
    await assert.rejects(client.get(resources.nodes, 'n'), (error: SampanError) => {
      assert.match(error.message, /^nodes "n" is forbidden: .* at the cluster scope$/);
      return true;
    });
  });

  test('a node may do what a kubelet does', async () => {
    const node = api.server.inProcess({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
    await node.list(pods, { fieldSelector: 'spec.nodeName=n1' });
    await node.create(resources.nodes, { metadata: { name: 'n1' } });
    await assert.rejects(
      node.create(resources.configmaps, { metadata: { name: 'x', namespace: 'default' } }),
      (error) => isReason(error, 'Forbidden'),
    );
  });
});
