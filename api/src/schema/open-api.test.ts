import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allKinds } from '../kinds/all.ts';
import { openApiV3 } from './open-api.ts';

describe('OpenAPI v3 documents', () => {
  // biome-ignore lint/suspicious/noExplicitAny: a free-form document
  const core: any = openApiV3('v1', allKinds);

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

  it('refers only to schemas that it holds', () => {
    for (const groupVersion of ['v1', 'coordination.k8s.io/v1', 'node.k8s.io/v1', 'scheduling.k8s.io/v1']) {
      const document = openApiV3(groupVersion, allKinds)!;
      const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
      for (const [, name] of references) assert.ok(name! in document.components.schemas, `${groupVersion}: ${name}`);
    }
  });

  it('is undefined for a group version nobody serves', () => {
    assert.equal(openApiV3('nope/v1', allKinds), undefined);
  });
});
