import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decide } from './decide.ts';
import type { Action, PodView } from './model.ts';
import { container, ended, nowMs, pod, record, sandbox, sidecar, view } from './test-view.ts';

/** A step as one word and a name: `start a`, `stop a-0`, `create 1`. */
function short(action: Action): string {
  switch (action.type) {
    case 'createSandbox':
      return `create ${action.attempt}`;
    case 'startContainer':
      return `start ${action.name}${action.attempt > 0 ? `/${action.attempt}` : ''}`;
    case 'stopContainer':
      return `stop ${action.id}`;
    case 'removeContainer':
      return `remove ${action.id}`;
    case 'stopSandbox':
      return `stop-sandbox ${action.id}`;
    case 'removeSandbox':
      return `remove-sandbox ${action.id}`;
    default:
      return action.type;
  }
}

const steps = (more: Partial<PodView>) => decide(view(more)).actions.map(short);
const lost = sandbox({ ready: false, ips: [] });
const two = { containers: [container('a'), container('b')] };
const inits = { initContainers: [container('i1'), container('i2')] };
const never = { restartPolicy: 'Never' };
const onFailure = { restartPolicy: 'OnFailure' };
const deleted = (secondsLeft: number) => ({
  metadata: { deletionTimestamp: new Date(nowMs + secondsLeft * 1000).toISOString() },
});

/** Name, what is, what is to be done: after the tables of kubelet's computePodActions. */
const cases: [string, Partial<PodView>, string[]][] = [
  ['a new Pod gets a sandbox first', { sandboxes: [] }, ['create 0']],
  ['nothing is done twice: the sandbox is being made', { sandboxes: [], busy: new Set(['sandbox']) }, []],
  ['all main containers start side by side', { pod: pod(two) }, ['start a', 'start b']],
  ['a start under way is not begun again', { pod: pod(two), busy: new Set(['start:a']) }, ['start b']],
  ['everything runs: nothing to do', { pod: pod(two), containers: [record('a'), record('b')] }, []],
  [
    'one of two failed: it alone is run again',
    { pod: pod(two), containers: [record('a'), ended('b', 1)] },
    ['start b/1'],
  ],
  ['Always runs a container again that succeeded', { containers: [ended('a')] }, ['start a/1']],
  ['OnFailure leaves it', { pod: pod({ ...two, ...onFailure }), containers: [ended('a'), record('b')] }, []],
  ['OnFailure runs one that failed', { pod: pod(onFailure), containers: [ended('a', 1)] }, ['start a/1']],
  [
    'Never leaves one that failed beside one that runs',
    { pod: pod({ ...two, ...never }), containers: [ended('a', 1), record('b')] },
    [],
  ],
  ['Never with all ended lets the machine go', { pod: pod(never), containers: [ended('a', 1)] }, ['stop-sandbox s0']],
  [
    'OnFailure with all succeeded lets the machine go',
    { pod: pod(onFailure), containers: [ended('a')] },
    ['stop-sandbox s0'],
  ],
  [
    'what ended is cleaned up when its machine is gone',
    { pod: pod(never), sandboxes: [lost], containers: [ended('a')] },
    ['cleanUp'],
  ],
  ['and only once', { pod: pod(never), sandboxes: [lost], containers: [ended('a')], cleanedUp: true }, []],
  [
    'a container that was created before a crash is started',
    { containers: [record('a', { state: 'created' })] },
    ['start a'],
  ],

  ['a lost machine is replaced', { sandboxes: [lost], containers: [ended('a', 137)] }, ['create 1']],
  [
    'a lost machine of a Pod that may not restart is not',
    { pod: pod(never), sandboxes: [lost], containers: [ended('a', 137)] },
    ['cleanUp'],
  ],
  [
    'in the new machine containers run again',
    { sandboxes: [sandbox({ id: 's1', attempt: 1 }), lost], containers: [ended('a', 137)] },
    ['start a/1'],
  ],
  [
    'in the new machine OnFailure leaves what had succeeded',
    {
      pod: pod({ ...two, ...onFailure }),
      sandboxes: [sandbox({ id: 's1', attempt: 1 }), lost],
      containers: [ended('a'), ended('b', 137)],
    },
    ['start b/1'],
  ],
  [
    'an older machine that still stands is stopped',
    { sandboxes: [sandbox({ id: 's1', attempt: 1 }), sandbox()], containers: [record('a', { sandboxId: 's1' })] },
    ['stop-sandbox s0'],
  ],
  [
    'a lost machine without runs worth keeping is removed',
    { sandboxes: [sandbox({ id: 's1', attempt: 1 }), lost], containers: [record('a', { sandboxId: 's1' })] },
    ['remove-sandbox s0'],
  ],
  [
    'a machine that could not be made is tried again later',
    { sandboxes: [], sandboxFailure: { reason: '', message: '', retryAtMs: nowMs + 1 } },
    [],
  ],

  ['init containers begin with the first', { pod: pod(inits) }, ['start i1']],
  ['the first runs: wait', { pod: pod(inits), containers: [record('i1')] }, []],
  ['the first succeeded: the second', { pod: pod(inits), containers: [ended('i1')] }, ['start i2']],
  ['all succeeded: the main containers', { pod: pod(inits), containers: [ended('i1'), ended('i2')] }, ['start a']],
  ['an init container that failed is run again', { pod: pod(inits), containers: [ended('i1', 1)] }, ['start i1/1']],
  [
    'with Never it fails the Pod',
    { pod: pod({ ...inits, ...never }), containers: [ended('i1', 1)] },
    ['stop-sandbox s0'],
  ],
  [
    'what the last init container says is enough: records of earlier ones may be gone',
    { pod: pod(inits), containers: [ended('i2')] },
    ['start a'],
  ],
  [
    'once initialised, init containers are not looked at again',
    { pod: pod(inits), containers: [ended('i2', 1), record('a')] },
    [],
  ],
  [
    'in a new machine init containers begin anew',
    {
      pod: pod(inits),
      sandboxes: [sandbox({ id: 's1', attempt: 1 }), lost],
      containers: [ended('i1'), ended('i2'), ended('a', 137)],
    },
    ['start i1/1'],
  ],

  [
    'a sidecar that runs lets the next one start',
    { pod: pod({ initContainers: [sidecar('s'), container('i')] }), containers: [record('s')] },
    ['start i'],
  ],
  [
    'not while its start is not through',
    {
      pod: pod({ initContainers: [sidecar('s'), container('i')] }),
      containers: [record('s')],
      busy: new Set(['start:s']),
    },
    [],
  ],
  [
    'not before its startup probe has passed',
    { pod: pod({ initContainers: [sidecar('s', { startupProbe: {} })] }), containers: [record('s')] },
    [],
  ],
  [
    'when it has, the main containers',
    {
      pod: pod({ initContainers: [sidecar('s', { startupProbe: {} })] }),
      containers: [record('s')],
      probes: new Map([['s-0', { startup: 'success' }]]),
    },
    ['start a'],
  ],
  [
    'a sidecar that failed its startup probe is stopped',
    {
      pod: pod({ initContainers: [sidecar('s', { startupProbe: {} })] }),
      containers: [record('s')],
      probes: new Map([['s-0', { startup: 'failure' }]]),
    },
    ['stop s-0'],
  ],
  [
    'a sidecar that ended is run again beside the main containers',
    { pod: pod({ initContainers: [sidecar('s')] }), containers: [ended('s'), record('a')] },
    ['start s/1'],
  ],
  [
    'also with Never',
    { pod: pod({ ...never, initContainers: [sidecar('s')] }), containers: [ended('s', 1), record('a')] },
    ['start s/1'],
  ],
  [
    'not when the main containers are through: it is stopped',
    { pod: pod({ ...never, initContainers: [sidecar('s')] }), containers: [record('s'), ended('a')] },
    ['stop s-0'],
  ],

  [
    'a container that fails its liveness probe is stopped',
    { containers: [record('a')], probes: new Map([['a-0', { liveness: 'failure' }]]) },
    ['stop a-0'],
  ],
  [
    'a container whose image was changed is stopped',
    { containers: [record('a', { specHash: 'other' })] },
    ['stop a-0'],
  ],
  ['one whose hash is not known is left', { containers: [record('a', { specHash: '' })] }, []],
  [
    'an ephemeral container is started in a running Pod',
    { pod: pod({ ephemeralContainers: [{ name: 'e', image: 'i:1' }] }), containers: [record('a')] },
    ['start e'],
  ],
  [
    'never again, however it ended',
    { pod: pod({ ephemeralContainers: [{ name: 'e', image: 'i:1' }] }), containers: [record('a'), ended('e', 1)] },
    [],
  ],

  [
    'a deleted Pod: main containers first',
    {
      pod: pod({ ...two, initContainers: [sidecar('s')] }, deleted(30)),
      containers: [record('s'), record('a'), record('b')],
    },
    ['stop a-0', 'stop b-0'],
  ],
  [
    'then sidecars, the last one first',
    {
      pod: pod({ initContainers: [sidecar('s'), sidecar('t')] }, deleted(30)),
      containers: [record('s'), record('t'), ended('a')],
    },
    ['stop t-0'],
  ],
  [
    'when the time is over, all at once',
    { pod: pod({ initContainers: [sidecar('s')] }, deleted(-1)), containers: [record('s'), record('a')] },
    ['stop s-0', 'stop a-0'],
  ],
  ['then the machine', { pod: pod({}, deleted(30)), containers: [ended('a')] }, ['stop-sandbox s0']],
  [
    'a machine whose containers do not end is stopped in the end',
    { pod: pod({}, deleted(-11)), containers: [record('a')] },
    ['stop-sandbox s0'],
  ],
  ['a start that is being given up is waited for', { pod: pod({}, deleted(30)), busy: new Set(['start:a']) }, []],
  [
    'nothing is removed before the last status is written',
    { pod: pod({}, deleted(30)), sandboxes: [lost], containers: [ended('a')] },
    [],
  ],
  [
    'then everything is',
    { pod: pod({}, deleted(30)), sandboxes: [lost], containers: [ended('a')], finalStatusWritten: true },
    ['finish'],
  ],
  [
    'a deleted Pod that never ran goes at once',
    { pod: pod({}, deleted(30)), sandboxes: [], finalStatusWritten: true },
    ['finish'],
  ],
  ['nothing is started in a deleted Pod', { pod: pod(two, deleted(30)), containers: [record('a')] }, ['stop a-0']],
  [
    'a Pod whose object is gone is ended without a last word',
    { gone: { atMs: nowMs, graceSeconds: 5 }, sandboxes: [lost] },
    ['finish'],
  ],
  [
    'an evicted Pod is stopped',
    { eviction: { reason: 'Evicted', message: '', atMs: nowMs, disrupted: true }, containers: [record('a')] },
    ['stop a-0'],
  ],
  [
    'a Pod past its deadline is stopped',
    {
      pod: pod({ activeDeadlineSeconds: 10 }, { status: { startTime: new Date(nowMs - 11_000).toISOString() } }),
      containers: [record('a')],
    },
    ['stop a-0'],
  ],
  [
    'a Pod that has failed is not run again, whatever its policy',
    { pod: pod({}, { status: { phase: 'Failed' } }), sandboxes: [lost], containers: [ended('a', 1)] },
    ['cleanUp'],
  ],

  [
    'the last two runs of a container are kept',
    {
      containers: [
        record('a', { attempt: 3 }),
        ended('a', 1, { attempt: 2 }),
        ended('a', 1, { attempt: 1 }),
        ended('a', 1),
      ],
    },
    ['remove a-1', 'remove a-0'],
  ],
];

describe('the next steps of a Pod', () => {
  for (const [name, is, wanted] of cases) test(name, () => assert.deepEqual(steps(is), wanted));

  test('a container is kept back by its back-off, and the time to look again is told', () => {
    const backOff = { delayMs: 20_000, updatedAtMs: nowMs - 60_000 };
    const last = ended('a', 1, { attempt: 2, finishedAtMs: nowMs - 5000, backOff });
    const decision = decide(view({ containers: [last] }));
    assert.deepEqual(decision.actions, []);
    assert.equal(decision.wakeAtMs, nowMs + 15_000);
    assert.deepEqual(decision.waiting.get('a'), {
      reason: 'CrashLoopBackOff',
      message: 'back-off 20s restarting failed container=a pod=p_n(u)',
    });
  });

  test('a start that failed waits for its time', () => {
    const failure = { reason: 'ErrImagePull', message: 'no', retryAtMs: nowMs + 700 };
    const decision = decide(view({ startFailures: new Map([['a', failure]]) }));
    assert.deepEqual(decision.actions, []);
    assert.equal(decision.wakeAtMs, nowMs + 700);
  });

  test('a liveness failure stops with the grace of the probe, and says that the container comes again', () => {
    const livenessProbe = { terminationGracePeriodSeconds: 5 };
    const [action] = decide(
      view({
        pod: pod({ containers: [container('a', { livenessProbe })] }),
        containers: [record('a')],
        probes: new Map([['a-0', { liveness: 'failure' }]]),
      }),
    ).actions;
    assert.ok(action?.type === 'stopContainer');
    assert.equal(action.graceMs, 5000);
    assert.equal(action.message, 'Container a failed liveness probe, will be restarted');
  });

  test('a deleted container gets what is left of its time, and never less than two seconds', () => {
    for (const [secondsLeft, graceMs] of [
      [30, 30_000],
      [1, 2000],
      [-5, 2000],
    ] as const) {
      const [action] = decide(view({ pod: pod({}, deleted(secondsLeft)), containers: [record('a')] })).actions;
      assert.ok(action?.type === 'stopContainer');
      assert.equal(action.graceMs, graceMs);
    }
  });

  test('a Pod with a deadline is looked at again when it is reached', () => {
    const status = { startTime: new Date(nowMs - 4000).toISOString() };
    const decision = decide(view({ pod: pod({ activeDeadlineSeconds: 10 }, { status }), containers: [record('a')] }));
    assert.equal(decision.wakeAtMs, nowMs + 6000);
  });
});
