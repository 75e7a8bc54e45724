import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import type { CertificateSigningRequest } from 'kubernetes-types/certificates/v1.js';
import { certificateRequest } from '../../test/fixtures/certificate-request.ts';
import { type ServedApi, serveTestApi } from '../../test/integration/api-ask.ts';
import { until } from '../../test/integration/support/wait.ts';
import { authenticated, nodesGroup, serviceAccountUser } from '../apiserver/auth/user.ts';
import { readRequest } from '../apiserver/pki/certificates.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { CertificateController } from './certificates.ts';
import { SharedInformers } from './informer/shared-informers.ts';

type Request = CertificateSigningRequest & KubeObject;
const ref = resources.certificatesigningrequests;
const clientSigner = 'kubernetes.io/kube-apiserver-client';
const nodeSigner = `${clientSigner}-kubelet`;
const usages = ['digital signature', 'client auth'];

let running: ServedApi;
let informers: SharedInformers;
let controller: CertificateController;
before(async () => {
  running = await serveTestApi();
  const { api } = running;
  // With no more rights than its role gives it.
  const client = api.server.inProcess(serviceAccountUser('kube-system', 'certificate-controller', ''));
  const parts = { client, log: silentLogger, clock: systemClock };
  informers = new SharedInformers(parts);
  const authority = { read: readRequest, sign: api.pki.signClient };
  controller = new CertificateController({ ...parts, informers, authority });
  await controller.start();
});
after(async () => {
  await controller.close();
  await informers.close();
  await running[Symbol.asyncDispose]();
});

const client = (name: string, ...groups: string[]) =>
  running.api.server.inProcess({ name, groups: [...groups, authenticated] });

function object(name: string, request: string, signerName: string, more: object = {}): Request {
  return { metadata: { name }, spec: { request: btoa(request), signerName, usages, ...more } } as Request;
}

function eventually(name: string, holds: (request: Request) => unknown): Promise<Request> {
  return until(`${name} comes to it`, async () => {
    const request = await running.api.client.get<Request>(ref, name);
    return holds(request) ? request : undefined;
  });
}

async function approve(name: string): Promise<void> {
  const request = await running.api.client.get<Request>(ref, name);
  const condition = { type: 'Approved', status: 'True', reason: 'ByHand', message: '' };
  await running.api.client.update<Request>(
    ref,
    { ...request, status: { conditions: [condition] } },
    { subresource: 'approval' },
  );
}

describe('a certificate request', () => {
  test("is its asker's, whatever it says itself", async () => {
    const { request } = await certificateRequest('CN=jane');
    const made = await running.api.client.create<Request>(
      ref,
      object('whose', request, 'example.com/mine', { username: 'root' }),
    );
    assert.deepEqual([made.spec.username, made.status], ['system:test', undefined]);
    const changed = await running.api.client.update<Request>(ref, {
      ...made,
      spec: { ...made.spec, username: 'root' },
    });
    assert.equal(changed.spec.username, 'system:test');
  });

  test('that was approved becomes a certificate the API knows its holder by', async () => {
    const { request, key } = await certificateRequest('O=dev, CN=jane');
    await running.api.client.create(ref, object('jane', request, clientSigner, { expirationSeconds: 3600 }));
    await approve('jane');
    const { status } = await eventually('jane', (one) => one.status?.certificate);
    const cert = atob(status?.certificate ?? '');
    const hours = (Date.parse(new X509Certificate(cert).validTo) - Date.now()) / 3_600_000;
    assert.ok(hours > 0.9 && hours < 1.1, `good for ${hours} hours`);
    const agent = new Agent({ ca: running.api.pki.caCertificate, cert, key });
    const who = await running.post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { agent });
    assert.deepEqual(who.json.status.userInfo, { username: 'jane', groups: ['dev', 'system:authenticated'] });
    agent.destroy();
  });

  test('of a node that renews its own is approved; of a stranger it waits', async () => {
    const { request } = await certificateRequest('O=system:nodes, CN=system:node:a');
    await client('system:node:a', nodesGroup).create(ref, object('node-a', request, nodeSigner));
    const made = await eventually('node-a', (one) => one.status?.certificate);
    assert.equal(
      made.status?.conditions?.[0]?.message,
      'Auto approving self kubelet client certificate after SubjectAccessReview.',
    );
    await client('system:node:b', nodesGroup).create(ref, object('other-node', request, nodeSigner));
    await eventually('other-node', (one) => one.spec.username === 'system:node:b');
    await systemClock.sleep(100);
    assert.equal((await running.api.client.get<Request>(ref, 'other-node')).status?.conditions, undefined);
  });

  test('the signer does not sign what is not its own to sign', async () => {
    const { request } = await certificateRequest('O=system:nodes, CN=system:node:a', ['evil.example']);
    await running.api.client.create(ref, object('named', request, nodeSigner));
    await approve('named');
    const { status } = await eventually('named', (one) => one.status?.conditions?.length === 2);
    assert.equal(status?.conditions?.[1]?.message, 'DNS, IP, email and URI subjectAltNames are not allowed');
    assert.equal(status?.certificate, undefined);
  });

  test('for system:masters is refused, and so is what is no request', async () => {
    const { request } = await certificateRequest('O=system:masters, CN=jane');
    const refused = `certificatesigningrequests.certificates.k8s.io "m" is forbidden: use of ${clientSigner} signer with system:masters group is not allowed`;
    await assert.rejects(running.api.client.create(ref, object('m', request, clientSigner)), (error: SampanError) => {
      assert.equal(error.message, refused);
      return isReason(error, 'Forbidden');
    });
    await assert.rejects(
      running.api.client.create(ref, object('m', 'hello', clientSigner)),
      /PEM block type must be CERTIFICATE REQUEST/,
    );
  });

  test('is approved only by who may approve for its signer, once', async () => {
    const { request } = await certificateRequest('CN=jane');
    const rules = [
      { verbs: ['get', 'update'], apiGroups: [ref.group], resources: [ref.resource, `${ref.resource}/approval`] },
      { verbs: ['approve'], apiGroups: [ref.group], resources: ['signers'], resourceNames: ['example.com/*'] },
    ];
    const metadata = { name: 'approvers' };
    const [clusterroles, clusterrolebindings] = ['clusterroles', 'clusterrolebindings'].map((resource) => ({
      group: 'rbac.authorization.k8s.io',
      version: 'v1',
      resource,
      namespaced: false,
    }));
    await running.api.client.create(clusterroles!, { metadata, rules } as KubeObject);
    const roleRef = { kind: 'ClusterRole', name: 'approvers' };
    await running.api.client.create(clusterrolebindings!, {
      metadata,
      roleRef,
      subjects: [{ kind: 'User', name: 'ann' }],
    } as KubeObject);
    const decide = async (name: string, type: string) => {
      const made = await running.api.client.get<Request>(ref, name);
      const conditions = [...(made.status?.conditions ?? []), { type, status: 'True', reason: 'r', message: '' }];
      return client('ann').update<Request>(ref, { ...made, status: { conditions } }, { subresource: 'approval' });
    };
    await running.api.client.create(ref, object('ours', request, 'example.com/mine'));
    await running.api.client.create(ref, object('theirs', request, 'example.org/mine'));
    const approved = await decide('ours', 'Approved');
    assert.match(String(approved.status?.conditions?.[0]?.lastTransitionTime), /^\d{4}-/);
    await assert.rejects(decide('ours', 'Denied'), /Approved and Denied conditions are mutually exclusive/);
    await assert.rejects(
      decide('theirs', 'Approved'),
      /user not permitted to approve requests with signerName "example.org\/mine"$/,
    );
  });
});
