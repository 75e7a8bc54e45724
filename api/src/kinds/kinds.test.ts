import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind, Target } from '../kind.ts';
import { hasStructType, typeNameOf } from '../schema/schema.ts';
import { allKinds } from './all.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects are built and broken field by field
type Loose = any;

const now = Date.UTC(2024, 0, 1, 1);
const kindOf = (name: string): Kind => allKinds.find((kind) => kind.kind === name)!;
const said = (causes: { field?: string; message: string }[]) =>
  causes.map(({ field, message }) => `${field}: ${message}`);
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** As the server would have it before validation. */
function admitted(kindName: string, object: object, metadata: object = {}): Loose {
  const kind = kindOf(kindName);
  const meta = { name: 'x', ...(kind.ref.namespaced && { namespace: 'default' }), ...metadata };
  const whole: Loose = { ...structuredClone(object), metadata: meta };
  assert.deepEqual(kind.checkStructure(whole), { wrongTypes: [], unknownFields: [] });
  kind.applyDefaults(whole);
  kind.prepareCreate(whole);
  return whole;
}

const create = (kindName: string, object: object, metadata?: object) =>
  said(kindOf(kindName).validateCreate(admitted(kindName, object, metadata)));

function update(kindName: string, old: Loose, change: (object: Loose) => void, target: Target = 'object') {
  const kind = kindOf(kindName);
  const object = structuredClone(old);
  change(object);
  kind.applyDefaults(object);
  kind.prepareUpdate(object, old, target);
  return { object, problems: said(kind.validateUpdate(object, old, target)) };
}

describe('every kind', () => {
  for (const kind of allKinds) {
    it(`${kind.kind} has a schema, and a cell for every column even of an empty object`, () => {
      assert.ok(hasStructType(typeNameOf(kind.ref.group, kind.ref.version, kind.kind)));
      const object = { metadata: {} };
      kind.applyDefaults(object);
      assert.equal(kind.row(object, now).length, kind.columns.length);
      for (const field of Object.values(kind.selectableFields)) assert.equal(typeof field(object), 'string');
    });

    it(`${kind.kind} refuses an object without a name`, () => {
      const object = { metadata: kind.ref.namespaced ? { namespace: 'default' } : {} };
      kind.applyDefaults(object);
      kind.prepareCreate(object);
      assert.ok(
        said(kind.validateCreate(object)).includes('metadata.name: Required value: name or generateName is required'),
      );
    });
  }

  it('stands under one name only', () => {
    const names = allKinds.map(({ ref }) => `${ref.group}/${ref.version}/${ref.resource}`);
    assert.equal(new Set(names).size, names.length);
  });
});

describe('Namespace', () => {
  it('is born active, with its finalizer and the label of its name', () => {
    const namespace = admitted('Namespace', { status: { phase: 'Terminating' } });
    assert.deepEqual(namespace.spec, { finalizers: ['kubernetes'] });
    assert.deepEqual(namespace.status, { phase: 'Active' });
    assert.deepEqual(namespace.metadata.labels, { 'kubernetes.io/metadata.name': 'x' });
    assert.deepEqual(said(kindOf('Namespace').validateCreate(namespace)), []);
  });

  it('ends in two steps: Terminating, then without finalizers', () => {
    const kind = kindOf('Namespace');
    const namespace = admitted('Namespace', {});
    kind.prepareDelete?.(namespace);
    namespace.metadata.deletionTimestamp = '2024-01-01T00:00:00Z';
    assert.equal(namespace.status.phase, 'Terminating');
    assert.deepEqual(kind.extraFinalizers?.(namespace), ['kubernetes']);
    const kept = update('Namespace', namespace, ({ spec }) => {
      spec.finalizers = [];
    });
    assert.deepEqual(kept.object.spec.finalizers, ['kubernetes']);
    const { object, problems } = update(
      'Namespace',
      namespace,
      ({ spec }) => {
        spec.finalizers = [];
      },
      'finalize',
    );
    assert.deepEqual(kind.extraFinalizers?.(object), []);
    assert.deepEqual(problems, []);
  });

  it('has a phase that follows its deletion, a name that is a label, and finalizers with names', () => {
    const ended = update(
      'Namespace',
      admitted('Namespace', {}),
      ({ status }) => {
        status.phase = 'Terminating';
      },
      'status',
    );
    assert.deepEqual(ended.problems, [
      'status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty',
    ]);
    assert.deepEqual(create('Namespace', {}, { name: 'a.b' }), [
      'metadata.name: Invalid value: "a.b": must not contain dots',
    ]);
    assert.match(
      create('Namespace', { spec: { finalizers: ['mine'] } }).join(),
      /neither a standard finalizer name nor/,
    );
  });
});

describe('ConfigMap', () => {
  it('counts texts and bytes', () => {
    const map = admitted('ConfigMap', { data: { a: 'x' }, binaryData: { b: 'AA==', c: '' } });
    assert.deepEqual(kindOf('ConfigMap').row(map, now), ['x', '3', '<unknown>']);
    assert.deepEqual(create('ConfigMap', map), []);
  });

  it('refuses bad keys, keys that stand twice, and more than 1 MiB', () => {
    assert.deepEqual(create('ConfigMap', { data: { a: '', '..b': '' }, binaryData: { a: '' } }), [
      'data[a]: Invalid value: "a": duplicate of key present in binaryData',
      'data[..b]: Invalid value: "..b": must not start with \'..\'',
    ]);
    const half = 'x'.repeat(512 * 1024);
    assert.deepEqual(create('ConfigMap', { data: { a: half }, binaryData: { b: base64(half) } }), []);
    assert.deepEqual(create('ConfigMap', { data: { a: `${half}y` }, binaryData: { b: base64(half) } }), [
      ': Too long: may not be more than 1048576 bytes',
    ]);
  });

  it('does not change once it is immutable, except for metadata', () => {
    const old = admitted('ConfigMap', { data: { a: 'x' }, immutable: true });
    const { problems } = update('ConfigMap', old, (map) => {
      map.data.a = 'y';
      map.immutable = false;
    });
    assert.deepEqual(problems, [
      'immutable: Forbidden: field is immutable when `immutable` is set',
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
    assert.deepEqual(
      update('ConfigMap', old, (map) => {
        map.metadata.labels = { a: 'b' };
      }).problems,
      [],
    );
  });
});

describe('Secret', () => {
  it('takes stringData in as data, whatever its letters', () => {
    const secret = admitted('Secret', { data: { a: 'AA==', b: 'AA==' }, stringData: { b: 'grün' } });
    assert.deepEqual(secret.data, { a: 'AA==', b: base64('grün') });
    assert.equal(secret.stringData, undefined);
    assert.deepEqual(kindOf('Secret').row(secret, now), ['x', 'Opaque', 2, '<unknown>']);
  });

  it('wants the keys of its type', () => {
    const account = { annotations: { 'kubernetes.io/service-account.name': 'robot' } };
    const cases: [type: string, data: object, said: string[], metadata?: object][] = [
      ['kubernetes.io/tls', { 'tls.crt': '' }, ['data[tls.key]: Required value']],
      ['kubernetes.io/basic-auth', {}, ['data[username]: Required value', 'data[password]: Required value']],
      ['kubernetes.io/basic-auth', { password: base64('x') }, []],
      ['kubernetes.io/ssh-auth', { 'ssh-privatekey': '' }, ['data[ssh-privatekey]: Required value']],
      ['kubernetes.io/dockerconfigjson', {}, ['data[.dockerconfigjson]: Required value']],
      [
        'kubernetes.io/dockerconfigjson',
        { '.dockerconfigjson': base64('{') },
        ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": is not valid JSON'],
      ],
      ['kubernetes.io/dockerconfigjson', { '.dockerconfigjson': base64('{"auths":{}}') }, []],
      [
        'kubernetes.io/service-account-token',
        {},
        ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
      ],
      ['kubernetes.io/service-account-token', {}, [], account],
      ['example.com/mine', {}, []],
    ];
    for (const [type, data, wanted, metadata] of cases)
      assert.deepEqual(create('Secret', { type, data }, metadata), wanted);
  });

  it('keeps its type, its size within 1 MiB, and its data once immutable', () => {
    const old = admitted('Secret', { data: { a: 'AA==' }, immutable: true });
    const { problems } = update('Secret', old, (secret) => {
      secret.type = 'other';
      secret.data = {};
    });
    assert.deepEqual(problems, [
      'type: Invalid value: "other": field is immutable',
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
    assert.deepEqual(create('Secret', { data: { a: base64('x'.repeat(1024 * 1024 + 1)) } }), [
      'data: Too long: may not be more than 1048576 bytes',
    ]);
  });
});

describe('Node', () => {
  const ready = (status: string) => ({ conditions: [{ type: 'Ready', status }] });

  it('says how it is, what for, and where', () => {
    const labels = {
      'node-role.kubernetes.io/worker': '',
      'node-role.kubernetes.io/gpu': '',
      'kubernetes.io/role': 'master',
    };
    const node = admitted(
      'Node',
      {
        spec: { unschedulable: true },
        status: {
          ...ready('True'),
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
          nodeInfo: { kubeletVersion: 'v1', osImage: 'Debian', kernelVersion: '6', containerRuntimeVersion: '' },
        },
      },
      { labels },
    );
    assert.deepEqual(kindOf('Node').row(node, now), [
      'x',
      'Ready,SchedulingDisabled',
      'gpu,master,worker',
      '<unknown>',
      'v1',
      '10.0.0.1',
      '<none>',
      'Debian',
      '6',
      '<unknown>',
    ]);
    const state = (status: object) => kindOf('Node').row(admitted('Node', { status }), now)[1];
    assert.deepEqual([state(ready('Unknown')), state({})], ['NotReady', 'Unknown']);
  });

  it('offers all it has unless it says less, and keeps spec and status apart', () => {
    const node = admitted('Node', { status: { capacity: { cpu: '2', memory: '2048Mi' } } });
    assert.deepEqual(node.status.allocatable, { cpu: '2', memory: '2Gi' });
    const { object } = update('Node', node, (one) => {
      one.spec.unschedulable = true;
      one.status = ready('True');
    });
    assert.deepEqual([object.spec.unschedulable, object.status.conditions], [true, undefined]);
    const status = update(
      'Node',
      node,
      (one) => {
        one.spec.unschedulable = true;
        one.status = ready('True');
      },
      'status',
    );
    assert.deepEqual([status.object.spec.unschedulable, status.object.status.conditions.length], [undefined, 1]);
  });

  it('refuses taints without an effect and twice', () => {
    const taint = { key: 'a', effect: 'NoSchedule' };
    assert.deepEqual(create('Node', { spec: { taints: [taint, taint, { key: 'b', effect: 'Go' }] } }), [
      'spec.taints[1]: Duplicate value: taints must be unique by key and effect pair',
      'spec.taints[2].effect: Unsupported value: "Go": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ]);
  });
});

describe('Event', () => {
  const about = { involvedObject: { kind: 'Pod', name: 'p', namespace: 'default', fieldPath: 'spec.containers{a}' } };
  const time = (seconds: number) => new Date(now - seconds * 1000).toISOString();

  it('says what happened to what, how often and since when', () => {
    const event = admitted('Event', {
      ...about,
      type: 'Warning',
      reason: 'BackOff',
      message: 'Back-off\n',
      count: 3,
      firstTimestamp: time(60),
      lastTimestamp: time(10),
      source: { component: 'node', host: 'n' },
    });
    assert.deepEqual(kindOf('Event').row(event, now), [
      '10s',
      'Warning',
      'BackOff',
      'pod/p',
      'spec.containers{a}',
      'node, n',
      'Back-off',
      '60s',
      3,
      'x',
    ]);
    assert.deepEqual(said(kindOf('Event').validateCreate(event)), []);
  });

  it('reads the newer fields where they are set', () => {
    const event = admitted('Event', {
      ...about,
      eventTime: '2024-01-01T00:59:00.000000Z',
      series: { count: 7, lastObservedTime: '2024-01-01T00:59:55.000000Z' },
      reportingComponent: 'scheduler',
      reportingInstance: 'n',
    });
    const row = kindOf('Event').row(event, now);
    assert.deepEqual([row[0], row[5], row[7], row[8]], ['5s', 'scheduler, n', '60s', 7]);
  });

  it('stands beside the object it is about', () => {
    assert.deepEqual(create('Event', about, { namespace: 'other' }), [
      'involvedObject.namespace: Invalid value: "default": does not match event.namespace',
    ]);
    assert.deepEqual(create('Event', { involvedObject: { kind: 'Node', name: 'n' } }), []);
  });
});

describe('the small kinds', () => {
  it('Lease names its holder and refuses a duration of nothing', () => {
    const lease = admitted('Lease', { spec: { holderIdentity: 'me', leaseDurationSeconds: 0 } });
    assert.deepEqual(kindOf('Lease').row(lease, now), ['x', 'me', '<unknown>']);
    assert.deepEqual(said(kindOf('Lease').validateCreate(lease)), [
      'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    ]);
  });

  it('ServiceAccount counts its secrets', () => {
    const account = admitted('ServiceAccount', { secrets: [{ name: 'a' }] });
    assert.deepEqual(kindOf('ServiceAccount').row(account, now), ['x', 1, '<unknown>']);
  });

  it('RuntimeClass keeps its handler', () => {
    const old = admitted('RuntimeClass', { handler: 'vm' });
    assert.deepEqual(
      update('RuntimeClass', old, (one) => {
        one.handler = 'other';
      }).problems,
      ['handler: Invalid value: "other": field is immutable'],
    );
    assert.match(create('RuntimeClass', { handler: 'V M' }).join(), /^handler: Invalid value/);
  });

  it('PriorityClass keeps its value, and keeps users below the system', () => {
    const old = admitted('PriorityClass', { value: 5 });
    assert.equal(old.preemptionPolicy, 'PreemptLowerPriority');
    assert.deepEqual(
      update('PriorityClass', old, (one) => {
        one.value = 6;
      }).problems,
      ['value: Invalid value: 6: field is immutable'],
    );
    assert.match(
      create('PriorityClass', { value: 2_000_000_000 }).join(),
      /maximum allowed value of a user defined priority/,
    );
    assert.deepEqual(create('PriorityClass', { value: 2_000_000_000 }, { name: 'system-node-critical' }), []);
    assert.match(create('PriorityClass', { value: 1 }, { name: 'system-mine' }).join(), /reserved for system use only/);
  });
});
