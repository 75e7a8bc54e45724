import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { KubeObject } from '../../client.ts';
import type { Target } from '../../kind.ts';
import { podKind } from './pod.ts';
import { admitted, type Loose, rich, said } from './pod-fixtures.ts';

describe('updates of a Pod', () => {
  /** The causes, after what the server does to an update. */
  function update(old: Loose, change: (pod: Loose) => void, target: Target = 'object') {
    const pod = structuredClone(old);
    change(pod);
    podKind.applyDefaults(pod);
    podKind.prepareUpdate(pod, old, target);
    return { pod, problems: said(podKind.validateUpdate(pod, old, target)) };
  }

  it('allows images, shorter deadlines, more tolerations and metadata', () => {
    const { pod, problems: found } = update(admitted(rich), (one) => {
      one.spec.containers[0].image = 'other:2';
      one.spec.initContainers[0].image = 'other:3';
      one.spec.activeDeadlineSeconds = 10;
      one.spec.tolerations.push({ key: 'b', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 });
      one.metadata.labels = { new: 'label' };
    });
    assert.deepEqual(found, []);
    assert.equal(pod.metadata.generation, 2);
  });

  it('names what else was changed', () => {
    const { problems: found } = update(admitted(rich), ({ spec }) => {
      spec.containers[0].env[0].value = 'x';
      spec.nodeName = 'n';
    });
    assert.equal(found.length, 1);
    assert.match(
      found[0]!,
      /^spec: Forbidden: pod updates may not change fields other than `spec\.containers\[\*\]\.image`,/,
    );
    assert.match(found[0]!, /changed: spec\.containers\[0\]\.env\[0\]\.value, spec\.nodeName$/);
  });

  it('refuses more containers, longer deadlines and fewer tolerations', () => {
    const old = admitted(rich);
    const messages = [
      update(old, ({ spec }) => {
        spec.containers.push({ name: 'z', image: 'z:1' });
      }),
      update(old, ({ spec }) => {
        spec.activeDeadlineSeconds = 61;
      }),
      update(old, ({ spec }) => {
        spec.tolerations.pop();
      }),
    ].map(({ problems: found }) => found.join());
    assert.deepEqual(messages, [
      'spec.containers: Forbidden: pod updates may not add or remove containers',
      'spec.activeDeadlineSeconds: Invalid value: 61: must be less than or equal to previous value',
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ]);
  });

  it('keeps status from object writes and spec from status writes', () => {
    const old = admitted();
    const object = update(old, (pod) => {
      pod.status.phase = 'Running';
    });
    assert.equal(object.pod.status.phase, 'Pending');
    assert.equal(object.pod.metadata.generation, 1);
    const status = update(
      old,
      (pod) => {
        pod.spec.nodeName = 'n';
        pod.status = { phase: 'Running' };
      },
      'status',
    );
    assert.equal(status.pod.spec.nodeName, undefined);
    assert.deepEqual([status.pod.status.phase, status.pod.status.qosClass], ['Running', 'BestEffort']);
    assert.deepEqual(status.problems, []);
  });

  it('adds ephemeral containers through their subresource, and nothing else with them', () => {
    const debug = { name: 'debug', image: 'busybox', targetContainerName: 'a' };
    const { pod, problems: found } = update(
      admitted(),
      ({ spec, metadata }) => {
        spec.ephemeralContainers = [debug];
        spec.nodeName = 'n';
        metadata.labels = { x: 'y' };
      },
      'ephemeralcontainers',
    );
    assert.deepEqual(found, []);
    assert.deepEqual([pod.spec.nodeName, pod.metadata.labels], [undefined, undefined]);
    assert.equal(pod.metadata.generation, 2);

    const gone = update(
      pod,
      ({ spec }) => {
        spec.ephemeralContainers = [];
      },
      'ephemeralcontainers',
    );
    assert.deepEqual(gone.problems, [
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n',
    ]);
    const more = update(
      pod,
      ({ spec }) => {
        spec.ephemeralContainers.push({
          name: 'a',
          image: 'x',
          ports: [{ containerPort: 1 }],
          targetContainerName: 'nobody',
        });
      },
      'ephemeralcontainers',
    );
    assert.deepEqual(more.problems, [
      'spec.ephemeralContainers[1].name: Duplicate value: "a"',
      'spec.ephemeralContainers[1].ports: Forbidden: cannot be set for an Ephemeral Container',
      'spec.ephemeralContainers[1].targetContainerName: Not found: "nobody"',
    ]);
  });

  it('lets nothing that has ended for good run again', () => {
    const old = admitted(({ spec }) => {
      spec.restartPolicy = 'Never';
    });
    old.status.containerStatuses = [{ name: 'a', state: { terminated: { exitCode: 1 } } }];
    const revive = (pod: Loose) => {
      pod.status.containerStatuses = [{ name: 'a', state: { running: {} } }];
    };
    assert.deepEqual(update(old, revive, 'status').problems, [
      'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state',
    ]);
    old.spec.restartPolicy = 'OnFailure';
    assert.deepEqual(update(old, revive, 'status').problems, []);
  });

  it('keeps podIP and podIPs the same, and one address a family', () => {
    const { pod } = update(
      admitted(),
      (one) => {
        one.status.podIP = '10.0.0.1';
      },
      'status',
    );
    assert.deepEqual(pod.status.podIPs, [{ ip: '10.0.0.1' }]);
    const two = update(
      admitted(),
      (one) => {
        one.status.podIPs = [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }];
      },
      'status',
    );
    assert.match(two.problems.join(), /no more than one IP for each IP family/);
  });

  it('refuses another name or uid', () => {
    const { problems: found } = update(admitted(), ({ metadata }) => {
      metadata.uid = 'other';
      metadata.name = 'q';
    });
    assert.deepEqual(found, [
      'metadata.name: Invalid value: "q": field is immutable',
      'metadata.uid: Invalid value: "other": field is immutable',
    ]);
  });
});

describe('how long a Pod takes to end', () => {
  const grace = (change: (pod: Loose) => void, requested?: number) =>
    podKind.gracePeriodSeconds?.(admitted(change) as KubeObject, requested);
  const placed = (pod: Loose) => {
    pod.spec.nodeName = 'n';
  };

  it('is the grace period, the requested one, or nothing where no node has it', () => {
    assert.equal(grace(placed), 30);
    assert.equal(grace(placed, 5), 5);
    assert.equal(grace(placed, 0), 0);
    assert.equal(
      grace((pod) => {
        placed(pod);
        pod.spec.terminationGracePeriodSeconds = -1;
      }),
      1,
    );
    assert.equal(
      grace(() => {}, 30),
      0,
    );
  });

  it('is nothing when its containers have all ended', () => {
    const pod = admitted(placed) as Pod;
    Object.assign(pod.status!, { phase: 'Succeeded' });
    assert.equal(podKind.gracePeriodSeconds?.(pod as KubeObject, undefined), 0);
  });
});
