/** Who may do what, and how much, as kubectl sees it: RBAC, quotas, limits and Pod Security. No node runs here, so Pods stay Pending. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { serviceAccountUser } from '../../src/apiserver/auth/user.ts';
import { readRequest } from '../../src/apiserver/pki/certificates.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { CertificateController } from '../../src/controllers/certificates.ts';
import { ClusterRoleAggregation } from '../../src/controllers/cluster-role-aggregation.ts';
import { SharedInformers } from '../../src/controllers/informer/shared-informers.ts';
import { NamespaceDefaults } from '../../src/controllers/namespace-defaults.ts';
import { ResourceQuotaController } from '../../src/controllers/resource-quota.ts';
import { certificateRequest } from '../fixtures/certificate-request.ts';
import { startTestApi, type TestApi } from './api-test-server.ts';
import { findKubectls, type KubectlOptions, type KubectlResult, runKubectl } from './kubectl-server.ts';
import { until } from './support/wait.ts';

const found = findKubectls();
/** The oldest and the newest: what they share the others have too. */
const kubectls = found.filter((_, i) => i === 0 || i === found.length - 1);
if (kubectls.length === 0) {
  test('kubectl', (t) => t.skip('no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...'));
}

let api: TestApi;
let kubeconfig: string;
const closers: { close(): Promise<void> }[] = [];
before(async () => {
  api = await startTestApi();
  ({ kubeconfig } = await api.listen());
  // As themselves, with no more rights than their roles give them.
  const parts = (name: string) => {
    const client = api.server.inProcess(serviceAccountUser('kube-system', name, ''));
    return { client, log: silentLogger, clock: systemClock };
  };
  const quotaParts = parts('resourcequota-controller');
  const informers = new SharedInformers(quotaParts);
  const namespaced = allKinds.map(({ ref }) => ref).filter((ref) => ref.namespaced);
  const controllers = [
    new ClusterRoleAggregation(parts('clusterrole-aggregation-controller')),
    new NamespaceDefaults({ ...parts('service-account-controller'), caCertificate: api.pki.caCertificate }),
    new CertificateController({
      ...parts('certificate-controller'),
      informers,
      authority: { read: readRequest, sign: api.pki.signClient },
    }),
    new ResourceQuotaController({ ...quotaParts, informers, namespaced }),
  ];
  closers.push(...controllers, informers);
  for (const controller of controllers) await controller.start();
});
after(async () => {
  for (const one of closers) await one.close();
  await api[Symbol.asyncDispose]();
});

for (const kubectl of kubectls) {
  describe(`kubectl ${kubectl.version}`, () => {
    const namespace = `access-${kubectl.version.replace('.', '-')}`;
    const ann = ['--as', `ann-${kubectl.version}`];

    const run = (args: string[], options: Partial<KubectlOptions> = {}): Promise<KubectlResult> =>
      runKubectl(kubectl, ['-n', namespace, ...args], { kubeconfig, home: api.directory, ...options });

    async function ok(args: string[], options: Partial<KubectlOptions> = {}): Promise<string> {
      const { code, stdout, stderr } = await run(args, options);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout + stderr;
    }

    async function fails(args: string[], message: RegExp, options: Partial<KubectlOptions> = {}): Promise<void> {
      const { code, stdout, stderr } = await run(args, options);
      assert.notEqual(code, 0, `kubectl ${args.join(' ')} went well`);
      assert.match(stdout + stderr, message);
    }

    before(async () => {
      const { code, stderr } = await runKubectl(kubectl, ['create', 'namespace', namespace], {
        kubeconfig,
        home: api.directory,
      });
      assert.equal(code, 0, stderr);
    });

    test('asks who may do what, before and after a role is given', async () => {
      await fails(['auth', 'can-i', 'list', 'pods', ...ann], /^no\s*$/);
      await ok(['create', 'role', 'reader', '--verb=get,list,watch', '--resource=pods,pods/log']);
      await ok(['create', 'rolebinding', 'reader', '--role=reader', `--user=${ann[1]}`]);
      assert.equal((await ok(['auth', 'can-i', 'list', 'pods', ...ann])).trim(), 'yes');
      await ok(['get', 'pods', ...ann]);
      await fails(['auth', 'can-i', 'list', 'pods', '-A', ...ann], /^no\s*$/);
      await fails(
        ['get', 'secrets', ...ann],
        /Error from server \(Forbidden\): secrets is forbidden: User "ann-1\.\d+" cannot list resource "secrets" in API group "" in the namespace "access-1-\d+"/,
      );
      const list = await ok(['auth', 'can-i', '--list', ...ann]);
      assert.match(list, /^pods +\[\] +\[\] +\[get list watch\]$/m);
      assert.match(list, /^selfsubjectaccessreviews\.authorization\.k8s\.io +\[\] +\[\] +\[create\]$/m);
      assert.match(list, /^ +\[\/healthz\] +\[\] +\[get\]$/m);
      const lines = list.trim().split('\n');
      assert.equal(new Set(lines).size, lines.length, 'nothing is told twice');
    });

    test('gives the roles every cluster has, and nobody more than he has', async () => {
      const bob = ['--as', `bob-${kubectl.version}`];
      await ok(['create', 'rolebinding', 'bob', '--clusterrole=admin', `--user=${bob[1]}`]);
      await ok(['create', 'configmap', 'of-bob', ...bob]);
      await ok(['create', 'rolebinding', 'cid', '--clusterrole=view', '--user=cid', ...bob]);
      await ok(['get', 'configmaps', '--as', 'cid']);
      await fails(['delete', 'configmap', 'of-bob', '--as', 'cid'], /User "cid" cannot delete resource "configmaps"/);
      await fails(['get', 'secrets', '--as', 'cid'], /User "cid" cannot list resource "secrets"/);
      await fails(
        ['create', 'rolebinding', 'too-much', '--clusterrole=cluster-admin', `--user=${bob[1]}`, ...bob],
        /is attempting to grant RBAC permissions not currently held:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}/,
      );
      await fails(
        ['get', 'nodes', ...bob],
        /User "bob-1\.\d+" cannot list resource "nodes" in API group "" at the cluster scope/,
      );
      assert.match(await ok(['get', 'rolebindings', '-o', 'wide']), /^bob +ClusterRole\/admin +\S+ +bob-1\.\d+/m);
      assert.match(await ok(['describe', 'clusterrole', 'view']), /pods\/log +\[\] +\[\] +\[get list watch\]/);
      assert.match(await ok(['get', 'clusterrole', 'cluster-admin']), /^cluster-admin +\d{4}-\d\d-\d\dT/m);
    });

    test('is told that a quota is exceeded, and what is used', async () => {
      await ok(['create', 'quota', 'few', '--hard=count/configmaps=3,secrets=1']);
      const used = async () => (await ok(['get', 'quota', 'few', '-o', 'jsonpath={.status.used.secrets}'])).trim();
      await until('what is used is counted', async () => (await used()) === '0');
      await ok(['create', 'secret', 'generic', 'one', '--from-literal=a=b']);
      await fails(
        ['create', 'secret', 'generic', 'two', '--from-literal=a=b'],
        /^error: failed to create secret secrets "two" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: secrets=1/,
      );
      assert.match(await ok(['describe', 'quota', 'few']), /^secrets +1 +1$/m);
      assert.match(await ok(['get', 'quota']), /secrets: 1\/1/);
    });

    test('is given limits by a LimitRange', async () => {
      const input = `
apiVersion: v1
kind: LimitRange
metadata: {name: sizes}
spec: {limits: [{type: Container, default: {cpu: 200m}, max: {cpu: "1"}}]}
`;
      await ok(['apply', '-f', '-'], { input });
      assert.match(await ok(['describe', 'limits', 'sizes']), /Container +cpu +- +1 +200m +200m +-/);
      await ok(['run', 'sized', '--image=registry.example/i:1']);
      const cpu = await ok(['get', 'pod', 'sized', '-o', 'jsonpath={.spec.containers[0].resources.limits.cpu}']);
      assert.equal(cpu, '200m');
    });

    test('approves a certificate request, and its holder is known', async () => {
      const name = `jane-${kubectl.version}`;
      const { request } = await certificateRequest(`CN=${name}`);
      const input = JSON.stringify({
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name },
        spec: { request: btoa(request), signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
      });
      await ok(['apply', '-f', '-'], { input });
      assert.match(await ok(['get', 'csr', name]), /kubernetes\.io\/kube-apiserver-client +admin +<none> +Pending/);
      await ok(['certificate', 'approve', name]);
      await until('the certificate', async () => /Approved,Issued/.test(await ok(['get', 'csr', name])));
      await fails(['certificate', 'deny', name], /already Approved/);
    });

    test('is refused and warned by Pod Security', async () => {
      const labels = ['pod-security.kubernetes.io/enforce=baseline', 'pod-security.kubernetes.io/warn=restricted'];
      await ok(['label', 'namespace', namespace, ...labels]);
      const overrides = JSON.stringify({
        spec: { containers: [{ name: 'bad', image: 'i', securityContext: { privileged: true } }] },
      });
      await fails(
        ['run', 'bad', '--image=i', `--overrides=${overrides}`],
        /^Error from server \(Forbidden\): pods "bad" is forbidden: violates PodSecurity "baseline:latest": privileged \(container "bad" must not set securityContext.privileged=true\)/,
      );
      const told = await ok(['run', 'loose', '--image=registry.example/i:1']);
      assert.match(
        told,
        /Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false .*"RuntimeDefault" or "Localhost"\)/,
      );
      const template = await ok(['create', 'deployment', 'loose', '--image=registry.example/i:1', '--replicas=0']);
      assert.match(template, /Warning: would violate PodSecurity "restricted:latest"/);
    });
  });
}
