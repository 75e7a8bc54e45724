import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Kind, Target } from '../../kind.ts';
import { controllerRevisionKind } from './controller-revision.ts';
import { deploymentKind } from './deployment.ts';
import { scaledValue } from './int-or-percent.ts';
import { replicaSetKind } from './replica-set.ts';
import { statefulSetKind } from './stateful-set.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects are built and broken field by field
type Loose = any;

function workload(change: (object: Loose) => void = () => {}): Loose {
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image: 'x:1' }] } };
  const object = {
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'web' } }, template },
  };
  change(object);
  return object;
}

/** As the server would have it before validation. */
function admitted(kind: Kind, object: Loose): Loose {
  assert.deepEqual(kind.checkStructure(object), { wrongTypes: [], unknownFields: [] });
  kind.applyDefaults(object);
  kind.prepareCreate(object);
  return object;
}

const said = (causes: { field?: string; message: string }[]) =>
  causes.map(({ field, message }) => `${field}: ${message}`);

const create = (kind: Kind, change?: (object: Loose) => void) =>
  said(kind.validateCreate(admitted(kind, workload(change))));

function update(kind: Kind, change: (object: Loose) => void, target: Target = 'object') {
  const old = admitted(kind, workload());
  const object = structuredClone(old);
  change(object);
  kind.applyDefaults(object);
  kind.prepareUpdate(object, old, target);
  return { object, problems: said(kind.validateUpdate(object, old, target)) };
}

describe('defaults', () => {
  test('of a Deployment', () => {
    const { spec } = admitted(deploymentKind, workload());
    const { template, selector: _, ...rest } = spec;
    assert.deepEqual(rest, {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
    });
    assert.deepEqual(template.spec, {
      containers: [
        {
          name: 'a',
          image: 'x:1',
          imagePullPolicy: 'IfNotPresent',
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          resources: {},
        },
      ],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      schedulerName: 'default-scheduler',
    });
  });

  test('of a StatefulSet, and none for a rolling update where it is not one', () => {
    const { spec } = admitted(statefulSetKind, workload());
    assert.equal(spec.podManagementPolicy, 'OrderedReady');
    assert.deepEqual(spec.updateStrategy, { type: 'RollingUpdate', rollingUpdate: { partition: 0 } });
    const other = admitted(
      statefulSetKind,
      workload((object) => {
        object.spec.updateStrategy = { type: 'OnDelete' };
      }),
    );
    assert.deepEqual(other.spec.updateStrategy, { type: 'OnDelete' });
  });
});

describe('validation', () => {
  for (const kind of [deploymentKind, replicaSetKind, statefulSetKind]) {
    test(`of a ${kind.kind}: selector and template`, () => {
      assert.deepEqual(create(kind), []);
      assert.deepEqual(
        create(kind, ({ spec }) => {
          spec.selector = {};
        }),
        [`spec.selector: Invalid value: {}: empty selector is invalid for ${kind.kind.toLowerCase()}`],
      );
      assert.deepEqual(
        create(kind, ({ spec }) => {
          spec.template.metadata.labels = { app: 'other' };
        }),
        ['spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`'],
      );
      assert.deepEqual(
        create(kind, ({ spec }) => {
          spec.template.spec.restartPolicy = 'Never';
          spec.template.spec.activeDeadlineSeconds = 5;
          spec.template.spec.containers[0].image = '';
          spec.replicas = -1;
        }).sort(),
        [
          'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
          'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported',
          'spec.template.spec.containers[0].image: Required value',
          'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ],
      );
      assert.match(
        create(kind, ({ spec }) => {
          spec.template.spec.hostNetwork = true;
        }).join(),
        /spec\.template\.spec\.hostNetwork: Forbidden: not supported by this server/,
      );
      assert.match(
        create(kind, ({ spec }) => {
          spec.selector = { matchExpressions: [{ key: 'app', operator: 'In' }] };
        })[0]!,
        /spec\.selector\.matchExpressions\[0\]\.values: Required value/,
      );
    });
  }

  test("of a Deployment's strategy", () => {
    const strategy = (value: object) =>
      create(deploymentKind, ({ spec }) => {
        spec.strategy = value;
      });
    assert.deepEqual(strategy({ rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } }), [
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
    ]);
    assert.match(strategy({ rollingUpdate: { maxUnavailable: '101%' } })[0]!, /must not be greater than 100%/);
    assert.match(strategy({ rollingUpdate: { maxSurge: 'x' } })[0]!, /a valid percent string must be/);
    assert.match(
      strategy({ type: 'Recreate', rollingUpdate: {} })[0]!,
      /may not be specified when strategy `type` is 'Recreate'/,
    );
    assert.match(
      strategy({ type: 'Blue' })[0]!,
      /Unsupported value: "Blue": supported values: "Recreate", "RollingUpdate"/,
    );
    const deadline = create(deploymentKind, ({ spec }) => {
      spec.minReadySeconds = 600;
    });
    assert.deepEqual(deadline, [
      'spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds',
    ]);
  });

  test("of a StatefulSet's own fields", () => {
    const problems = create(statefulSetKind, ({ spec }) => {
      spec.podManagementPolicy = 'Random';
      spec.updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: -1, maxUnavailable: 2 } };
      spec.ordinals = { start: -1 };
    });
    assert.match(problems.join('\n'), /spec\.podManagementPolicy: .*must be 'OrderedReady' or 'Parallel'/);
    assert.match(problems.join('\n'), /partition: Invalid value: -1/);
    assert.match(problems.join('\n'), /maxUnavailable: Forbidden: not supported by this server/);
    assert.match(problems.join('\n'), /spec\.ordinals\.start: Invalid value: -1/);
  });

  test('of a ControllerRevision: data is there, and stays', () => {
    const revision = (data?: object) => ({
      metadata: { name: 'r', namespace: 'default' },
      revision: 1,
      ...(data && { data }),
    });
    assert.deepEqual(said(controllerRevisionKind.validateCreate(revision())), [
      'data: Required value: data is mandatory',
    ]);
    const problems = controllerRevisionKind.validateUpdate(revision({ a: 2 }), revision({ a: 1 }), 'object');
    assert.deepEqual(said(problems), ['data: Invalid value: {"a":2}: field is immutable']);
  });
});

describe('updates', () => {
  test('a selector stays; a spec moves the generation, a status does not', () => {
    for (const kind of [deploymentKind, replicaSetKind]) {
      const { problems } = update(kind, ({ spec }) => {
        spec.selector.matchLabels = { app: 'web', b: 'c' };
        spec.template.metadata.labels.b = 'c';
      });
      assert.deepEqual(problems, [
        'spec.selector: Invalid value: {"matchLabels":{"app":"web","b":"c"}}: field is immutable',
      ]);
    }
    const { object } = update(deploymentKind, ({ spec }) => {
      spec.replicas = 3;
    });
    assert.equal(object.metadata.generation, 2);
    const status = update(
      deploymentKind,
      (changed) => {
        changed.status = { replicas: 1, readyReplicas: 2 };
        changed.spec.replicas = 9;
      },
      'status',
    );
    assert.deepEqual([status.object.metadata.generation, status.object.spec.replicas], [1, 1]);
    assert.deepEqual(status.problems, [
      'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
    ]);
  });

  test('an annotation moves the generation of a Deployment', () => {
    const { object } = update(deploymentKind, ({ metadata }) => {
      metadata.annotations = { a: 'b' };
    });
    assert.equal(object.metadata.generation, 2);
  });

  test('of a StatefulSet only some fields change', () => {
    const allowed = update(statefulSetKind, ({ spec }) => {
      spec.replicas = 5;
      spec.minReadySeconds = 3;
      spec.template.spec.containers[0].image = 'x:2';
    });
    assert.deepEqual(allowed.problems, []);
    const refused = update(statefulSetKind, ({ spec }) => {
      spec.podManagementPolicy = 'Parallel';
    });
    assert.match(
      refused.problems[0]!,
      /^spec: Forbidden: updates to statefulset spec for fields other than 'replicas'/,
    );
  });
});

test('percentages are of a whole, rounded as asked', () => {
  assert.deepEqual(
    [
      scaledValue('25%', 10, 'up'),
      scaledValue('25%', 10, 'down'),
      scaledValue('100%', 7, 'up'),
      scaledValue(3, 10, 'up'),
    ],
    [3, 2, 7, 3],
  );
});
