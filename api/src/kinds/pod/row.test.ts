import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ContainerState, ContainerStatus, Pod, PodStatus } from 'kubernetes-types/core/v1.js';
import { podColumns, podRow } from './row.ts';

const now = Date.UTC(2024, 0, 1, 1);
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();
const status = (name: string, state: ContainerState, rest: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name,
  image: '',
  imageID: '',
  ready: false,
  restartCount: 0,
  state,
  ...rest,
});
const running = (name: string, ready = true) => status(name, { running: {} }, { ready, started: true });
const ended = (exitCode: number, rest: object = {}): ContainerState => ({ terminated: { exitCode, ...rest } });
const waiting = (reason: string): ContainerState => ({ waiting: { reason } });

function pod(of: PodStatus, inits: string[] = [], metadata: object = {}): Pod {
  return {
    metadata: { name: 'p', creationTimestamp: ago(125), ...metadata },
    spec: {
      containers: [{ name: 'a' }, { name: 'b' }],
      initContainers: inits.map((name) => ({ name, ...(name.startsWith('side') && { restartPolicy: 'Always' }) })),
    },
    status: of,
  };
}

/** READY, STATUS and RESTARTS. */
const cells = (one: Pod) => podRow(one, now).slice(1, 4);

describe('the row of a Pod', () => {
  const cases: [string, Pod, string[]][] = [
    ['pending', pod({ phase: 'Pending' }), ['0/2', 'Pending', '0']],
    [
      'creating',
      pod({ phase: 'Pending', containerStatuses: [status('a', waiting('ContainerCreating'))] }),
      ['0/2', 'ContainerCreating', '0'],
    ],
    ['running', pod({ phase: 'Running', containerStatuses: [running('a'), running('b')] }), ['2/2', 'Running', '0']],
    [
      'not ready yet',
      pod({ phase: 'Running', containerStatuses: [running('a'), running('b', false)] }),
      ['1/2', 'Running', '0'],
    ],
    [
      'first init container',
      pod(
        {
          phase: 'Pending',
          initContainerStatuses: [status('i', { running: {} }), status('j', waiting('PodInitializing'))],
        },
        ['i', 'j'],
      ),
      ['0/2', 'Init:0/2', '0'],
    ],
    [
      'second init container',
      pod(
        { phase: 'Pending', initContainerStatuses: [status('i', ended(0)), status('j', waiting('PodInitializing'))] },
        ['i', 'j'],
      ),
      ['0/2', 'Init:1/2', '0'],
    ],
    [
      'init container that cannot pull',
      pod({ phase: 'Pending', initContainerStatuses: [status('i', waiting('ImagePullBackOff'))] }, ['i']),
      ['0/2', 'Init:ImagePullBackOff', '0'],
    ],
    [
      'init container that failed',
      pod({ phase: 'Pending', initContainerStatuses: [status('i', ended(3))] }, ['i']),
      ['0/2', 'Init:ExitCode:3', '0'],
    ],
    [
      'init container that was killed',
      pod({ phase: 'Pending', initContainerStatuses: [status('i', ended(137, { signal: 9 }))] }, ['i']),
      ['0/2', 'Init:Signal:9', '0'],
    ],
    [
      'init container that failed with a reason',
      pod({ phase: 'Pending', initContainerStatuses: [status('i', ended(1, { reason: 'Error' }))] }, ['i']),
      ['0/2', 'Init:Error', '0'],
    ],
    [
      'sidecar beside containers',
      pod(
        { phase: 'Running', initContainerStatuses: [running('side')], containerStatuses: [running('a'), running('b')] },
        ['side'],
      ),
      ['3/3', 'Running', '0'],
    ],
    [
      'sidecar that starts',
      pod({ phase: 'Pending', initContainerStatuses: [status('side', { running: {} }, { started: false })] }, ['side']),
      ['0/3', 'Init:0/1', '0'],
    ],
    [
      'crashing',
      pod({
        phase: 'Running',
        containerStatuses: [
          running('a'),
          status('b', waiting('CrashLoopBackOff'), {
            restartCount: 4,
            lastState: { terminated: { exitCode: 1, finishedAt: ago(310) } },
          }),
        ],
      }),
      ['1/2', 'CrashLoopBackOff', '4 (5m10s ago)'],
    ],
    [
      'done',
      pod({
        phase: 'Succeeded',
        containerStatuses: [
          status('a', ended(0, { reason: 'Completed' })),
          status('b', ended(0, { reason: 'Completed' })),
        ],
      }),
      ['0/2', 'Completed', '0'],
    ],
    [
      'half done and ready',
      pod({
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [status('a', ended(0, { reason: 'Completed' })), running('b')],
      }),
      ['1/2', 'Running', '0'],
    ],
    [
      'half done and not ready',
      pod({ phase: 'Running', containerStatuses: [status('a', ended(0, { reason: 'Completed' })), running('b')] }),
      ['1/2', 'NotReady', '0'],
    ],
    [
      'out of memory',
      pod({
        phase: 'Failed',
        containerStatuses: [
          status('a', ended(137, { reason: 'OOMKilled' })),
          status('b', ended(0, { reason: 'Completed' })),
        ],
      }),
      ['0/2', 'OOMKilled', '0'],
    ],
    [
      'failed without a reason',
      pod({ phase: 'Failed', containerStatuses: [status('a', ended(3))] }),
      ['0/2', 'ExitCode:3', '0'],
    ],
    [
      'killed without a reason',
      pod({ phase: 'Failed', containerStatuses: [status('a', ended(137, { signal: 9 }))] }),
      ['0/2', 'Signal:9', '0'],
    ],
    ['evicted', pod({ phase: 'Failed', reason: 'Evicted' }), ['0/2', 'Evicted', '0']],
    [
      'gated',
      pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
      ['0/2', 'SchedulingGated', '0'],
    ],
    [
      'ending',
      pod({ phase: 'Running', containerStatuses: [running('a'), running('b')] }, [], { deletionTimestamp: ago(1) }),
      ['2/2', 'Terminating', '0'],
    ],
    [
      'ended while being deleted',
      pod({ phase: 'Succeeded', containerStatuses: [status('a', ended(0, { reason: 'Completed' }))] }, [], {
        deletionTimestamp: ago(1),
      }),
      ['0/2', 'Completed', '0'],
    ],
    [
      'on a lost node',
      pod({ phase: 'Running', reason: 'NodeLost' }, [], { deletionTimestamp: ago(1) }),
      ['0/2', 'Unknown', '0'],
    ],
    [
      'restarts of init containers while they run',
      pod(
        { phase: 'Pending', initContainerStatuses: [status('i', waiting('CrashLoopBackOff'), { restartCount: 2 })] },
        ['i'],
      ),
      ['0/2', 'Init:CrashLoopBackOff', '2'],
    ],
    [
      'restarts of init containers forgotten afterwards',
      pod(
        {
          phase: 'Running',
          initContainerStatuses: [status('i', ended(0), { restartCount: 2 })],
          containerStatuses: [running('a'), running('b')],
        },
        ['i'],
      ),
      ['2/2', 'Running', '0'],
    ],
  ];
  for (const [what, one, wanted] of cases) {
    it(`says ${wanted.join(' ')} of a Pod that is ${what}`, () => {
      assert.deepEqual(cells(one), wanted);
    });
  }

  it('has a cell for every column', () => {
    const row = podRow(
      {
        metadata: { name: 'p', creationTimestamp: ago(125) },
        spec: { containers: [], nodeName: 'n', readinessGates: [{ conditionType: 'x' }, { conditionType: 'y' }] },
        status: { podIPs: [{ ip: '10.0.0.1' }], conditions: [{ type: 'x', status: 'True' }] },
      },
      now,
    );
    assert.equal(row.length, podColumns.length);
    assert.deepEqual(row.slice(4), ['2m5s', '10.0.0.1', 'n', '<none>', '1/2']);
  });
});
