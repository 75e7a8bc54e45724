import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isReason } from '../errors.ts';
import { nodeKind } from '../kinds/node.ts';
import { podKind } from '../kinds/pod/pod.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

const container = (name: string, rest: object = {}) => ({ name, image: `${name}:1`, ...rest });
const pod = (spec: object, metadata: object = {}) => ({ metadata: { name: 'p', ...metadata }, spec });
// biome-ignore lint/suspicious/noExplicitAny: patches and results are free-form here
const apply = (document: object, patch: object): any => applyStrategicMergePatch(document, patch, podKind);
const names = (items: { name: string }[]) => items.map((item) => item.name);

describe('strategic merge patch: objects', () => {
  it('merges objects, deletes with null, and leaves its input alone', () => {
    const before = pod({ nodeName: 'n' }, { labels: { a: '1', b: '2' } });
    const copy = structuredClone(before);
    const after = apply(before, { metadata: { labels: { a: null, c: '3' } }, spec: { nodeName: null } });
    assert.deepEqual(after, pod({}, { labels: { b: '2', c: '3' } }));
    assert.deepEqual(before, copy);
  });

  it('drops nulls and directives from what is new', () => {
    const after = apply(pod({}), { spec: { securityContext: { runAsUser: 1, runAsGroup: null, $patch: 'merge' } } });
    assert.deepEqual(after.spec, { securityContext: { runAsUser: 1 } });
  });

  it('replaces and empties objects by $patch', () => {
    const before = pod({ securityContext: { runAsUser: 1 }, nodeSelector: { a: 'b' } });
    const after = apply(before, {
      spec: { securityContext: { $patch: 'replace', fsGroup: 2 }, nodeSelector: { $patch: 'delete' } },
    });
    assert.deepEqual(after.spec, { securityContext: { fsGroup: 2 }, nodeSelector: {} });
  });

  it('keeps only $retainKeys: a volume changes its source', () => {
    const before = pod({ volumes: [{ name: 'v', emptyDir: {} }] });
    const after = apply(before, {
      spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: { name: 'c' } }] },
    });
    assert.deepEqual(after.spec.volumes, [{ name: 'v', configMap: { name: 'c' } }]);
  });

  it('refuses $retainKeys that do not retain what is patched, and unknown directives', () => {
    const refused = (patch: object) =>
      assert.throws(
        () => apply(pod({}), patch),
        (error) => isReason(error, 'BadRequest'),
      );
    refused({ spec: { $retainKeys: ['a'], nodeName: 'b' } });
    refused({ spec: { $patch: 'destroy' } });
    refused([] as object);
    refused({ spec: { containers: [{ image: 'x' }] } });
    refused({ spec: { containers: ['x'] } });
    refused({ metadata: { '$deleteFromPrimitiveList/finalizers': 'x' } });
  });
});

describe('strategic merge patch: lists', () => {
  const two = pod({ containers: [container('a', { env: [{ name: 'X', value: '1' }] }), container('b')] });

  it('merges containers by name, and their lists by their own keys', () => {
    const after = apply(two, {
      spec: {
        containers: [{ name: 'a', image: 'new', env: [{ name: 'Y', value: '2' }], ports: [{ containerPort: 80 }] }],
      },
    });
    assert.deepEqual(after.spec.containers, [
      {
        name: 'a',
        image: 'new',
        env: [
          { name: 'Y', value: '2' },
          { name: 'X', value: '1' },
        ],
        ports: [{ containerPort: 80 }],
      },
      container('b'),
    ]);
  });

  it('deletes an element by $patch, also one that is not there', () => {
    const after = apply(two, {
      spec: {
        containers: [{ name: 'a', $patch: 'delete' }],
        volumes: [{ name: 'v', $patch: 'delete' }],
      },
    });
    assert.deepEqual(names(after.spec.containers), ['b']);
    assert.deepEqual(after.spec.volumes, []);
  });

  it('replaces a whole list by an element with $patch: replace', () => {
    const after = apply(two, { spec: { containers: [container('c'), { $patch: 'replace' }] } });
    assert.deepEqual(after.spec.containers, [container('c')]);
  });

  it('puts new elements first unless an order is given, as Kubernetes does', () => {
    const added = { spec: { containers: [container('c')] } };
    assert.deepEqual(names(apply(two, added).spec.containers), ['c', 'a', 'b']);
    const ordered = {
      spec: { ...added.spec, '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }, { name: 'c' }] },
    };
    assert.deepEqual(names(apply(two, ordered).spec.containers), ['a', 'b', 'c']);
  });

  it('reorders by $setElementOrder alone, keeping what only the server has near its place', () => {
    const before = pod({ containers: ['a', 'injected', 'b', 'c'].map((name) => container(name)) });
    const order = ['c', 'a', 'b'].map((name) => ({ name }));
    const after = apply(before, { spec: { '$setElementOrder/containers': order } });
    assert.deepEqual(names(after.spec.containers), ['injected', 'c', 'a', 'b']);
    const same = ['a', 'b', 'c'].map((name) => ({ name }));
    const kept = apply(before, { spec: { '$setElementOrder/containers': same } });
    assert.deepEqual(names(kept.spec.containers), ['a', 'injected', 'b', 'c']);
  });

  it('handles what kubectl apply sends when a container goes and another changes', () => {
    const after = apply(two, {
      spec: {
        '$setElementOrder/containers': [{ name: 'b' }],
        containers: [
          { name: 'b', image: 'b:2' },
          { name: 'a', $patch: 'delete' },
        ],
      },
    });
    assert.deepEqual(after.spec.containers, [container('b', { image: 'b:2' })]);
  });

  it('refuses an order that leaves out what is patched', () => {
    const patch = { spec: { containers: [container('z')], '$setElementOrder/containers': [{ name: 'a' }] } };
    assert.throws(() => apply(two, patch), /doesn't match \$setElementOrder\/containers list/);
  });

  it('unites and shrinks lists of plain values', () => {
    const before = pod({}, { finalizers: ['a/1', 'a/2', 'a/3'] });
    assert.deepEqual(apply(before, { metadata: { finalizers: ['a/4', 'a/2'] } }).metadata.finalizers, [
      'a/4',
      'a/1',
      'a/2',
      'a/3',
    ]);
    const after = apply(before, {
      metadata: {
        '$deleteFromPrimitiveList/finalizers': ['a/1'],
        '$setElementOrder/finalizers': ['a/3', 'a/2', 'a/5'],
        finalizers: ['a/5'],
      },
    });
    assert.deepEqual(after.metadata.finalizers, ['a/3', 'a/2', 'a/5']);
  });

  it('replaces lists without a merge key as a whole', () => {
    const before = pod({ tolerations: [{ key: 'a' }], containers: [container('a', { command: ['x', 'y'] })] });
    const after = apply(before, { spec: { tolerations: [{ key: 'b' }], containers: [{ name: 'a', command: ['z'] }] } });
    assert.deepEqual(after.spec.tolerations, [{ key: 'b' }]);
    assert.deepEqual(after.spec.containers[0].command, ['z']);
  });

  it('merges ports by number, mounts by path, owners by uid and conditions by type', () => {
    const before = {
      metadata: { ownerReferences: [{ uid: 'u', name: 'x' }] },
      spec: {
        containers: [
          container('a', { ports: [{ containerPort: 80 }], volumeMounts: [{ name: 'v', mountPath: '/m' }] }),
        ],
      },
      status: { conditions: [{ type: 'Ready', status: 'False' }] },
    };
    const after = apply(before, {
      metadata: { ownerReferences: [{ uid: 'u', controller: true }] },
      spec: {
        containers: [
          {
            name: 'a',
            ports: [{ containerPort: 80, name: 'http' }],
            volumeMounts: [{ mountPath: '/m', readOnly: true }],
          },
        ],
      },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
    assert.deepEqual(after.metadata.ownerReferences, [{ uid: 'u', name: 'x', controller: true }]);
    assert.deepEqual(after.spec.containers[0].ports, [{ containerPort: 80, name: 'http' }]);
    assert.deepEqual(after.spec.containers[0].volumeMounts, [{ name: 'v', mountPath: '/m', readOnly: true }]);
    assert.deepEqual(after.status.conditions, [{ type: 'Ready', status: 'True' }]);
  });

  it('keeps two mounts of one volume apart, and two ports of one number together', () => {
    const before = pod({ containers: [container('a', { volumeMounts: [{ name: 'v', mountPath: '/1' }] })] });
    const after = apply(before, {
      spec: { containers: [{ name: 'a', volumeMounts: [{ name: 'v', mountPath: '/2' }] }] },
    });
    assert.equal(after.spec.containers[0].volumeMounts.length, 2);
  });

  it('knows other kinds: addresses of a node, its taints as a whole', () => {
    const node = {
      metadata: { name: 'n' },
      spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] },
      status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
    };
    const patch = { spec: { taints: [] }, status: { addresses: [{ type: 'Hostname', address: 'n' }] } };
    const after = applyStrategicMergePatch(node, patch, nodeKind);
    assert.deepEqual(after.spec.taints, []);
    assert.equal(after.status.addresses.length, 2);
  });
});
