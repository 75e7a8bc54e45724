/** Services, their endpoints and claims for storage as every kubectl of this machine makes and describes them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClientsLab, startClientsLab } from './clients-lab.ts';
import { findKubectls, type Kubectl, runKubectl } from './kubectl-server.ts';
import { until } from './support/wait.ts';

const kubectls = findKubectls();
if (kubectls.length === 0) {
  test('kubectl', (t) => t.skip('no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...'));
}

const host = '10.64.0.1';
let lab: ClientsLab;
before(async () => {
  lab = await startClientsLab({ apiServer: { host, port: 6443 }, more: { serviceNetwork: { others: [host] } } });
});
after(() => lab[Symbol.asyncDispose]());

async function ok(kubectl: Kubectl, args: string[], input?: string): Promise<string> {
  const options = { kubeconfig: lab.kubeconfig, home: lab.api.directory, ...(input && { input }) };
  const { code, stdout, stderr } = await runKubectl(kubectl, args, options);
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const claim = (name: string) => `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ${name}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`;

for (const kubectl of kubectls) {
  test(`kubectl ${kubectl.version}: expose, describe, node ports, the API server's own Service, a waiting claim`, async () => {
    const name = `web-${kubectl.version.replace('.', '-')}`;
    const run = (...args: string[]) => ok(kubectl, args);
    await run('create', 'deployment', name, '--image=registry.example/web:1', '--replicas=2');
    await run('expose', 'deployment', name, '--port=80', '--target-port=8080');
    await until('two endpoints in the description', async () =>
      /^Endpoints: +\S+:8080,\S+:8080$/m.test(await run('describe', 'service', name)),
    );
    assert.match(
      await run('get', 'service', name),
      new RegExp(`^${name} +ClusterIP +10\\.96\\.\\S+ +<none> +80/TCP `, 'm'),
    );
    assert.match(
      await run('get', 'endpointslices', '-l', `kubernetes.io/service-name=${name}`),
      /IPv4 +8080 +\S+,\S+ /,
    );
    await run('create', 'service', 'nodeport', `${name}-out`, '--tcp=80:8080');
    assert.match(await run('get', 'service', `${name}-out`), /NodePort +10\.96\.\S+ +<none> +80:3\d{4}\/TCP/);
    assert.match(await run('get', 'service', 'kubernetes'), new RegExp(`ClusterIP +${host} +<none> +443/TCP`));
    await ok(kubectl, ['apply', '-f', '-'], claim(name));
    await until('the reason in the description', async () =>
      /FailedBinding.*no storage class is set/.test(await run('describe', 'pvc', name)),
    );
    await run('delete', 'deployment,service,pvc', name);
    await run('delete', 'service', `${name}-out`);
  });
}
