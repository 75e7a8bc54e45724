/** What is served is served whole: each kind in every form of discovery and description, with the verbs it says. What is out of scope is nowhere. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inDefault, type ServedApi, serveTestApi } from './api-ask.ts';

let running: ServedApi;
let ask: ServedApi['ask'];
before(async () => {
  running = await serveTestApi();
  ({ ask } = running);
});
after(() => running[Symbol.asyncDispose]());

/** By group and version; whole kinds and reviews, without subresources. */
const served: Record<string, string> = {
  '/api/v1':
    'bindings configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods podtemplates resourcequotas secrets serviceaccounts services',
  '/apis/apiextensions.k8s.io/v1': 'customresourcedefinitions',
  '/apis/apps/v1': 'controllerrevisions deployments replicasets statefulsets',
  '/apis/authentication.k8s.io/v1': 'selfsubjectreviews tokenreviews',
  '/apis/authentication.k8s.io/v1beta1': 'selfsubjectreviews',
  '/apis/authorization.k8s.io/v1':
    'localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews',
  '/apis/autoscaling/v1': 'horizontalpodautoscalers',
  '/apis/autoscaling/v2': 'horizontalpodautoscalers',
  '/apis/batch/v1': 'cronjobs jobs',
  '/apis/certificates.k8s.io/v1': 'certificatesigningrequests',
  '/apis/coordination.k8s.io/v1': 'leases',
  '/apis/discovery.k8s.io/v1': 'endpointslices',
  '/apis/events.k8s.io/v1': 'events',
  '/apis/metrics.k8s.io/v1beta1': 'nodes pods',
  '/apis/networking.k8s.io/v1': 'ingressclasses ingresses networkpolicies',
  '/apis/node.k8s.io/v1': 'runtimeclasses',
  '/apis/policy/v1': 'poddisruptionbudgets',
  '/apis/rbac.authorization.k8s.io/v1': 'clusterrolebindings clusterroles rolebindings roles',
  '/apis/scheduling.k8s.io/v1': 'priorityclasses',
  '/apis/storage.k8s.io/v1': 'csinodes storageclasses',
};

interface Resource {
  name: string;
  namespaced: boolean;
  verbs: string[];
}

async function resourcesOf(groupVersion: string): Promise<Resource[]> {
  const { status, json } = await ask(groupVersion);
  return status === 200 ? json.resources : [];
}

test('the kinds in scope are served, and no others', async () => {
  const { json } = await ask('/apis');
  const found: Record<string, string> = {};
  const paths = json.groups.flatMap(({ versions }: { versions: { groupVersion: string }[] }) =>
    versions.map(({ groupVersion }) => `/apis/${groupVersion}`),
  );
  for (const path of ['/api/v1', ...paths]) {
    const names = (await resourcesOf(path)).map(({ name }) => name).filter((name) => !name.includes('/'));
    found[path] = names.sort().join(' ');
  }
  assert.deepEqual(found, served);
});

test('a kind is listed, watched, described and refused as discovery says', async () => {
  const check = async (groupVersion: string, { name, namespaced, verbs }: Resource) => {
    const path = `${groupVersion}${namespaced ? '/namespaces/default' : ''}/${name}`;
    const where = `${path} ${verbs}`;
    const list = await ask(path);
    assert.equal(list.status, verbs.includes('list') ? 200 : 405, where);
    if (verbs.includes('list')) assert.match(list.json.kind, /List$/, where);
    const nobody = await ask(`${path}/there-is-none`, { method: 'DELETE' });
    assert.equal(nobody.status, verbs.includes('delete') ? 404 : 405, where);
    const watch = await ask(`${path}?watch=true&timeoutSeconds=1`);
    assert.equal(watch.status, verbs.includes('watch') ? 200 : 405, where);
    // Reviews and what is computed have no schema here; kubectl sends them unvalidated.
    if (!verbs.includes('watch')) return;
    const { paths } = (await ask(`/openapi/v3${groupVersion}`)).json;
    const described = namespaced ? path.replace('/default/', '/{namespace}/') : path;
    assert.ok(paths[described], `${described} is not in OpenAPI`);
  };
  for (const groupVersion of Object.keys(served)) {
    // There is no node here to measure.
    if (groupVersion.includes('metrics.k8s.io')) continue;
    const whole = (await resourcesOf(groupVersion)).filter(({ name }) => !name.includes('/'));
    await Promise.all(whole.map((resource) => check(groupVersion, resource)));
  }
});

const outOfScope = [
  `${inDefault}/replicationcontrollers`,
  '/api/v1/componentstatuses',
  '/apis/apps/v1/namespaces/default/daemonsets',
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
  '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
  '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
  '/apis/apiregistration.k8s.io/v1/apiservices',
  '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas',
  '/apis/storage.k8s.io/v1/csidrivers',
  '/apis/storage.k8s.io/v1/volumeattachments',
];

test('a kind out of scope is answered as one that nobody knows, and stands in no description', async () => {
  const { paths } = (await ask('/openapi/v2')).json;
  const body = JSON.stringify({ metadata: { name: 'x' } });
  const headers = { 'content-type': 'application/json' };
  for (const path of outOfScope) {
    for (const method of ['GET', 'POST', 'DELETE'])
      assert.equal((await ask(path, { method, ...(method === 'POST' && { body, headers }) })).status, 404, path);
    const patch = { method: 'PATCH', body, headers: { 'content-type': 'application/merge-patch+json' } };
    assert.equal((await ask(`${path}/x`, patch)).status, 404, path);
    const resource = path.split('/').at(-1)!;
    assert.ok(!Object.keys(paths).some((one) => one.split('/').includes(resource)), resource);
  }
});
