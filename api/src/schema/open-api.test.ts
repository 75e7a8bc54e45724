import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cronTabs } from '../custom/custom-fixtures.ts';
import { customKinds } from '../custom/custom-kind.ts';
import { allKinds } from '../kinds/all.ts';
import { openApiV3 } from './open-api.ts';

const inGroupVersion = (group: string, version: string) => ({
  kinds: allKinds.filter(({ ref }) => ref.group === group && ref.version === version),
});

describe('OpenAPI v3 documents', async () => {
  // biome-ignore lint/suspicious/noExplicitAny: a free-form document
  const core: any = await openApiV3(inGroupVersion('', 'v1'));

  it('describes a kind with its words, types, required fields and merge keys', () => {
    const spec = core.components.schemas['io.k8s.api.core.v1.PodSpec'];
    assert.deepEqual(spec.required, ['containers']);
    assert.match(spec.description, /PodSpec is a description of a pod/);
    assert.equal(spec.properties.containers['x-kubernetes-patch-merge-key'], 'name');
    assert.equal(spec.properties.containers['x-kubernetes-patch-strategy'], 'merge');
    assert.equal(spec.properties.volumes['x-kubernetes-patch-strategy'], 'merge,retainKeys');
    assert.equal(spec.properties.tolerations['x-kubernetes-patch-strategy'], undefined);
    assert.deepEqual(spec.properties.containers.items, {
      allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Container' }],
      default: {},
    });
    const pod = core.components.schemas['io.k8s.api.core.v1.Pod'];
    assert.deepEqual(pod['x-kubernetes-group-version-kind'], [{ group: '', version: 'v1', kind: 'Pod' }]);
  });

  it('offers fieldValidation on every write, which is how kubectl decides to leave validation to the server', () => {
    const item = core.paths['/api/v1/namespaces/{namespace}/pods/{name}'];
    for (const operation of [item.patch, item.put, core.paths['/api/v1/namespaces/{namespace}/pods'].post]) {
      assert.ok(operation.parameters.some((parameter: { name: string }) => parameter.name === 'fieldValidation'));
      assert.deepEqual(operation['x-kubernetes-group-version-kind'], { group: '', version: 'v1', kind: 'Pod' });
    }
  });

  it('refers only to schemas that it holds', async () => {
    for (const { group, version } of allKinds.map(({ ref }) => ref)) {
      const groupVersion = `${group}/${version}`;
      const document = await openApiV3(inGroupVersion(group, version));
      const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
      for (const [, name] of references) assert.ok(name! in document.components.schemas, `${groupVersion}: ${name}`);
    }
  });

  it('describes a custom kind by its own schema, and offers it no strategic merge patch', async () => {
    // biome-ignore lint/suspicious/noExplicitAny: a free-form document
    const document: any = await openApiV3({ kinds: customKinds(cronTabs()) });
    const schema = document.components.schemas['com.example.stable.v1.CronTab'];
    assert.equal(schema.properties.spec.properties.cronSpec.type, 'string');
    assert.deepEqual(schema['x-kubernetes-group-version-kind'], [
      { group: 'stable.example.com', version: 'v1', kind: 'CronTab' },
    ]);
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
    for (const [, name] of references) assert.ok(name! in document.components.schemas, name);
    const { patch } = document.paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}'];
    assert.equal('application/strategic-merge-patch+json' in patch.requestBody.content, false);
    assert.equal('application/merge-patch+json' in patch.requestBody.content, true);
  });

  it('names operations as Kubernetes does, each once, those on subresources among them', async () => {
    const names: string[] = [];
    for (const [groupVersion, kinds] of Map.groupBy(allKinds, ({ ref }) => `${ref.group}/${ref.version}`)) {
      const { paths } = await openApiV3({ kinds });
      for (const [path, item] of Object.entries(paths)) {
        const operations = Object.values(item).filter((one) => 'operationId' in one);
        assert.ok(operations.length > 0, `${groupVersion} ${path}`);
        names.push(...operations.map(({ operationId }) => operationId));
      }
    }
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
    for (const name of [
      'listCoreV1NamespacedPod',
      'listCoreV1PodForAllNamespaces',
      'createCoreV1Namespace',
      'deleteAppsV1CollectionNamespacedDeployment',
      'readAppsV1NamespacedDeploymentScale',
      'patchCoreV1NamespacedPodEphemeralcontainers',
      'replaceRbacAuthorizationV1ClusterRole',
      'replaceCoreV1NamespaceFinalize',
      'readCoreV1NamespacedPodLog',
    ])
      assert.ok(names.includes(name), name);
  });

  it('describes what can only be posted', async () => {
    const eviction = { group: 'policy', version: 'v1', kind: 'Eviction' };
    const place = { group: '', version: 'v1', resource: 'pods', subresource: 'eviction', namespaced: true };
    const pods = { kinds: inGroupVersion('', 'v1').kinds, posted: [{ ...place, kind: eviction }] };
    // biome-ignore lint/suspicious/noExplicitAny: a free-form document
    const withPods: any = await openApiV3(pods);
    const { post } = withPods.paths['/api/v1/namespaces/{namespace}/pods/{name}/eviction'];
    assert.equal(post.operationId, 'createCoreV1NamespacedPodEviction');
    assert.deepEqual(post['x-kubernetes-group-version-kind'], eviction);
    assert.ok(withPods.components.schemas['io.k8s.api.policy.v1.Eviction'].properties.deleteOptions);

    const review = { group: 'authorization.k8s.io', version: 'v1', kind: 'SelfSubjectAccessReview' };
    const { kind: _, ...at } = review;
    const self = { ...at, resource: 'selfsubjectaccessreviews', subresource: '', namespaced: false, kind: review };
    // biome-ignore lint/suspicious/noExplicitAny: a free-form document
    const alone: any = await openApiV3({ kinds: [], posted: [self] });
    const path = alone.paths['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'];
    assert.equal(path.post.operationId, 'createAuthorizationV1SelfSubjectAccessReview');
    const schema = alone.components.schemas['io.k8s.api.authorization.v1.SelfSubjectAccessReview'];
    assert.deepEqual(schema['x-kubernetes-group-version-kind'], [review]);
    assert.deepEqual(schema.required, ['spec']);

    const early = { group: 'authentication.k8s.io', version: 'v1beta1', kind: 'SelfSubjectReview' };
    const whoAmI = { ...self, ...early, resource: 'selfsubjectreviews', kind: early };
    // biome-ignore lint/suspicious/noExplicitAny: a free-form document
    const { components }: any = await openApiV3({ kinds: [], posted: [whoAmI] });
    const { properties, ...rest } = components.schemas['io.k8s.api.authentication.v1beta1.SelfSubjectReview'];
    assert.ok(properties.status);
    assert.deepEqual(rest['x-kubernetes-group-version-kind'], [early]);
  });
});
