import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ContainerStatus, PodStatus } from 'kubernetes-types/core/v1.js';
import type { Ending, PodView, Waiting } from '../decide/model.ts';
import { container, ended, nowMs, pod, record, sandbox, sidecar, view } from '../decide/test-view.ts';
import { computeStatus } from './compute-status.ts';

const compute = (more: Partial<PodView>, also: { waiting?: [string, Waiting][]; ending?: Ending } = {}): PodStatus =>
  computeStatus({
    view: view(more),
    waiting: new Map(also.waiting ?? []),
    hostIPs: ['192.0.2.1'],
    ...(also.ending ? { ending: also.ending } : {}),
  });

const two = { containers: [container('a'), container('b')] };
const inits = { initContainers: [container('i')] };
const never = { restartPolicy: 'Never' };
const onFailure = { restartPolicy: 'OnFailure' };
const lost = sandbox({ ready: false, ips: [] });
const finished: Ending = { cause: 'finished', untilMs: nowMs };
const crashLoop: [string, Waiting][] = [['a', { reason: 'CrashLoopBackOff', message: 'back-off' }]];

describe('the phase of a Pod', () => {
  const cases: [string, Partial<PodView>, string, Parameters<typeof compute>[1]?][] = [
    ['is Pending while nothing was started', {}, 'Pending'],
    ['is Pending while one of two was never started', { pod: pod(two), containers: [record('a')] }, 'Pending'],
    ['is Running when all run', { pod: pod(two), containers: [record('a'), record('b')] }, 'Running'],
    [
      'is Running while one runs and one has ended',
      { pod: pod({ ...two, ...never }), containers: [record('a'), ended('b', 1)] },
      'Running',
    ],
    ['is Running while a container is kept back', { containers: [ended('a', 1)] }, 'Running', { waiting: crashLoop }],
    ['with Always is Running between two runs', { containers: [ended('a')] }, 'Running'],
    ['with OnFailure is Running after a failure', { pod: pod(onFailure), containers: [ended('a', 1)] }, 'Running'],
    [
      'with OnFailure is Succeeded when all did',
      { pod: pod(onFailure), containers: [ended('a')] },
      'Succeeded',
      { ending: finished },
    ],
    [
      'with Never is Succeeded when all did',
      { pod: pod({ ...two, ...never }), containers: [ended('a'), ended('b')] },
      'Succeeded',
      { ending: finished },
    ],
    [
      'with Never is Failed when one did',
      { pod: pod({ ...two, ...never }), containers: [ended('a'), ended('b', 1)] },
      'Failed',
      { ending: finished },
    ],
    ['is Pending while init containers run', { pod: pod(inits), containers: [record('i')] }, 'Pending'],
    ['is Pending while an init container is run again', { pod: pod(inits), containers: [ended('i', 1)] }, 'Pending'],
    [
      'is Failed when an init container failed for good',
      { pod: pod({ ...inits, ...never }), containers: [ended('i', 1)] },
      'Failed',
    ],
    [
      'is Running while a sidecar still runs after the main containers',
      { pod: pod({ ...never, initContainers: [sidecar('s')] }), containers: [record('s'), ended('a')] },
      'Running',
      { ending: finished },
    ],
    [
      'is Succeeded when the sidecar has ended too, whatever its exit code',
      {
        pod: pod({ ...never, initContainers: [sidecar('s')] }),
        sandboxes: [lost],
        containers: [ended('s', 143), ended('a')],
      },
      'Succeeded',
      { ending: finished },
    ],
    [
      'of a deleted Pod that ran is Failed when a container was killed',
      { sandboxes: [lost], containers: [ended('a', 137)] },
      'Failed',
      { ending: { cause: 'deleted', untilMs: nowMs } },
    ],
    [
      'of a deleted Pod is Succeeded when its containers ended well',
      { sandboxes: [lost], containers: [ended('a')] },
      'Succeeded',
      { ending: { cause: 'deleted', untilMs: nowMs } },
    ],
    [
      'of a deleted Pod that never ran is Failed',
      { sandboxes: [] },
      'Failed',
      { ending: { cause: 'deleted', untilMs: nowMs } },
    ],
    [
      'of an evicted Pod is Failed at once',
      { containers: [record('a')] },
      'Failed',
      { ending: { cause: 'evicted', untilMs: nowMs } },
    ],
    [
      'once terminal is never taken back',
      { pod: pod({}, { status: { phase: 'Failed' } }), containers: [record('a')] },
      'Failed',
    ],
  ];
  for (const [name, is, wanted, also] of cases) test(name, () => assert.equal(compute(is, also).phase, wanted));
});

describe('the status of a container', () => {
  const of = (status: PodStatus, name = 'a'): ContainerStatus =>
    [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].find((one) => one.name === name)!;

  test('that runs says since when, its id and its image, and is ready', () => {
    const status = of(compute({ containers: [record('a', { attempt: 2, startedAtMs: nowMs })] }));
    assert.deepEqual(status, {
      name: 'a',
      image: 'i:1',
      imageID: 'sha256:i',
      containerID: 'sampan://a-2',
      ready: true,
      started: true,
      restartCount: 2,
      state: { running: { startedAt: '2026-01-02T03:04:05Z' } },
      lastState: {},
    });
  });

  test('that was not started yet waits: ContainerCreating, or PodInitializing behind init containers', () => {
    assert.deepEqual(of(compute({})).state, { waiting: { reason: 'ContainerCreating' } });
    assert.deepEqual(of(compute({ pod: pod(inits) })).state, { waiting: { reason: 'PodInitializing' } });
  });

  test('whose postStart is not through does not run yet', () => {
    const status = of(compute({ containers: [record('a')], busy: new Set(['start:a']) }));
    assert.deepEqual([status.state, status.ready], [{ waiting: { reason: 'ContainerCreating' } }, false]);
  });

  test('counts a restart once the new run is under way', () => {
    const runs = [ended('a', 1), { ...record('a'), id: 'a-next', attempt: 1, state: 'created' as const }];
    assert.equal(of(compute({ containers: runs })).restartCount, 0);
    const up = [runs[0]!, { ...runs[1]!, state: 'running' as const }];
    assert.equal(of(compute({ containers: up, busy: new Set(['start:a']) })).restartCount, 0);
    assert.equal(of(compute({ containers: up })).restartCount, 1);
  });

  test('that has ended tells code, reason, message and times', () => {
    const last = ended('a', 3, { message: 'last words', startedAtMs: nowMs - 3000, finishedAtMs: nowMs });
    assert.deepEqual(of(compute({ pod: pod(never), containers: [last] })).state?.terminated, {
      exitCode: 3,
      reason: 'Error',
      message: 'last words',
      startedAt: '2026-01-02T03:04:02Z',
      finishedAt: '2026-01-02T03:04:05Z',
      containerID: 'sampan://a-0',
    });
  });

  test('that is kept back tells the reason, and how its last run ended', () => {
    const status = of(compute({ containers: [ended('a', 1)] }, { waiting: crashLoop }));
    assert.equal(status.state?.waiting?.reason, 'CrashLoopBackOff');
    assert.equal(status.lastState?.terminated?.exitCode, 1);
  });

  test('that runs again tells how the run before ended', () => {
    const status = of(compute({ containers: [record('a', { attempt: 1 }), ended('a', 9)] }));
    assert.equal(status.lastState?.terminated?.exitCode, 9);
    assert.equal(status.restartCount, 1);
  });

  test('is ready only when its readiness probe says so, and started only when its startup probe did', () => {
    const probed = {
      pod: pod({ containers: [container('a', { startupProbe: {}, readinessProbe: {} })] }),
      containers: [record('a')],
    };
    const read = (probes: PodView['probes']) => {
      const { started, ready } = of(compute({ ...probed, probes }));
      return [started, ready];
    };
    assert.deepEqual(read(new Map()), [false, false]);
    assert.deepEqual(read(new Map([['a-0', { startup: 'success' }]])), [true, false]);
    assert.deepEqual(read(new Map([['a-0', { startup: 'success', readiness: 'success' }]])), [true, true]);
    assert.deepEqual(read(new Map([['a-0', { startup: 'success', readiness: 'failure' }]])), [true, false]);
  });

  test('an init container is ready when it succeeded, a sidecar when it runs', () => {
    const status = compute({
      pod: pod({ initContainers: [container('i'), sidecar('s')] }),
      containers: [ended('i'), record('s')],
    });
    assert.deepEqual([of(status, 'i').ready, of(status, 's').ready], [true, true]);
  });

  test('of a Pod that is over has an end, known or not', () => {
    const status = compute(
      { pod: pod(two), sandboxes: [lost], containers: [ended('a', 143)] },
      { ending: { cause: 'deleted', untilMs: nowMs } },
    );
    assert.equal(of(status, 'a').state?.terminated?.exitCode, 143);
    assert.deepEqual(
      [of(status, 'b').state?.terminated?.exitCode, of(status, 'b').state?.terminated?.reason],
      [137, 'ContainerStatusUnknown'],
    );
  });
});

describe('the conditions of a Pod', () => {
  const read = (status: PodStatus, type: string) => {
    const condition = status.conditions?.find((one) => one.type === type);
    return [condition?.status, condition?.reason, condition?.message].filter((part) => part !== undefined);
  };

  test('that runs are all True', () => {
    const status = compute({ containers: [record('a')] });
    for (const type of ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'])
      assert.deepEqual(read(status, type), ['True'], type);
  });

  test('name the containers that are not ready', () => {
    const status = compute({ pod: pod(two), containers: [record('a')] });
    for (const type of ['Ready', 'ContainersReady'])
      assert.deepEqual(read(status, type), ['False', 'ContainersNotReady', 'containers with unready status: [b]']);
  });

  test('name the init containers that are not through', () => {
    const status = compute({ pod: pod(inits), containers: [record('i')] });
    assert.deepEqual(read(status, 'Initialized'), [
      'False',
      'ContainersNotInitialized',
      'containers with incomplete status: [i]',
    ]);
  });

  test('of a Pod that succeeded say PodCompleted', () => {
    const status = compute({ pod: pod(never), sandboxes: [lost], containers: [ended('a')] }, { ending: finished });
    assert.deepEqual(read(status, 'Ready'), ['False', 'PodCompleted']);
    assert.deepEqual(read(status, 'Initialized'), ['True', 'PodCompleted']);
    assert.deepEqual(read(status, 'PodReadyToStartContainers'), ['False']);
  });

  test('wait for readiness gates', () => {
    const gated = (conditions: PodStatus['conditions']) =>
      read(
        compute({
          pod: pod({ readinessGates: [{ conditionType: 'x/lb' }] }, { status: { conditions } }),
          containers: [record('a')],
        }),
        'Ready',
      );
    assert.deepEqual(gated([]), [
      'False',
      'ReadinessGatesNotReady',
      'corresponding condition of pod readiness gate "x/lb" does not exist.',
    ]);
    assert.deepEqual(gated([{ type: 'x/lb', status: 'False' }]), [
      'False',
      'ReadinessGatesNotReady',
      'the status of pod readiness gate "x/lb" is not "True", but False',
    ]);
    assert.deepEqual(gated([{ type: 'x/lb', status: 'True' }]), ['True']);
  });

  test('keep the time of their last change', () => {
    const lastTransitionTime = '2026-01-01T00:00:00Z';
    const before = {
      conditions: [
        { type: 'Ready', status: 'True', lastTransitionTime },
        { type: 'Initialized', status: 'False', lastTransitionTime },
      ],
    };
    const { conditions = [] } = compute({ pod: pod({}, { status: before }), containers: [record('a')] });
    const timeOf = (type: string) => conditions.find((one) => one.type === type)?.lastTransitionTime;
    assert.equal(timeOf('Ready'), lastTransitionTime);
    assert.equal(timeOf('Initialized'), '2026-01-02T03:04:05Z');
  });
});

test('addresses, start time and the reason of an end are told', () => {
  const status = compute(
    { pod: pod({}, { status: { startTime: '2026-01-01T00:00:00Z' } }), containers: [record('a')] },
    { ending: { cause: 'deadline', untilMs: nowMs, reason: 'DeadlineExceeded', message: 'too long' } },
  );
  assert.deepEqual(
    [status.podIP, status.podIPs, status.hostIP, status.startTime, status.reason, status.message],
    ['10.0.0.1', [{ ip: '10.0.0.1' }], '192.0.2.1', '2026-01-01T00:00:00Z', 'DeadlineExceeded', 'too long'],
  );
});
