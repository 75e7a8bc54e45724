import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodObject } from '../pods/pod-facts.ts';
import { decideStatefulSet, statefulSetStatus } from './decide.ts';
import { ordinalOf, statefulPod } from './identity.ts';
import { decideRevision, outdatedRevisions, type RevisionObject, type StatefulSetObject } from './revisions.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function set(spec: object = {}, image = 'x:1'): StatefulSetObject {
  return {
    metadata: { name: 'db', namespace: 'default', uid: 's', generation: 3 },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'a', image }] } },
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      ...spec,
    },
  };
}

const current = decideRevision(set(), []).update;
const update = { ...decideRevision(set({}, 'x:2'), [current]).update };

type State = 'ready' | 'unready' | 'going' | 'failed';

function pod(ordinal: number, state: State = 'ready', revision: RevisionObject = current): PodObject {
  const made = statefulPod(set(), ordinal, revision);
  const ready = {
    type: 'Ready',
    status: state === 'ready' ? 'True' : 'False',
    lastTransitionTime: '2025-12-31T23:59:00Z',
  };
  const metadata = { ...made.metadata, ...(state === 'going' && { deletionTimestamp: '2026-01-01T00:00:00Z' }) };
  const phase = state === 'failed' ? 'Failed' : 'Running';
  return { ...made, metadata, status: { phase, conditions: [ready] } };
}

function decide(of: StatefulSetObject, pods: PodObject[], next = current): string {
  const { create, remove } = decideStatefulSet({ set: of, pods, current, update: next, nowMs });
  const label = (one: PodObject) => `${ordinalOf(of, one)}`;
  const revision = (one: PodObject) =>
    one.metadata?.labels?.['controller-revision-hash'] === current.metadata?.name ? 'old' : 'new';
  return [...create.map((one) => `+${label(one)} ${revision(one)}`), ...remove.map((one) => `-${label(one)}`)].join(
    ', ',
  );
}

test('Pods keep name, host name, subdomain and index', () => {
  const { metadata, spec } = statefulPod(set(), 7, current);
  assert.equal(metadata?.name, 'db-7');
  assert.deepEqual([spec?.hostname, spec?.subdomain], ['db-7', 'db']);
  assert.equal(metadata?.labels?.['statefulset.kubernetes.io/pod-name'], 'db-7');
  assert.equal(metadata?.labels?.['apps.kubernetes.io/pod-index'], '7');
  assert.equal(ordinalOf(set(), { metadata: { name: 'db-07' } }), undefined);
  assert.equal(ordinalOf(set(), { metadata: { name: 'web-1' } }), undefined);
});

test('in order, one Pod is made at a time, after the one below it is ready', () => {
  assert.equal(decide(set(), []), '+0 old');
  assert.equal(decide(set(), [pod(0, 'unready')]), '');
  assert.equal(decide(set(), [pod(0)]), '+1 old');
  assert.equal(decide(set(), [pod(0), pod(2)]), '+1 old');
  assert.equal(decide(set({ minReadySeconds: 120 }), [pod(0)]), '');
});

test('in parallel, all are made at once', () => {
  const parallel = { podManagementPolicy: 'Parallel' };
  assert.equal(decide(set(parallel), [pod(1, 'unready')]), '+0 old, +2 old');
  assert.equal(decide(set({ ...parallel, replicas: 1 }), [pod(0, 'unready'), pod(1), pod(2)]), '-2, -1');
});

test('Pods that have ended are deleted, those on their way out waited for', () => {
  assert.equal(decide(set(), [pod(0, 'failed'), pod(1)]), '-0');
  assert.equal(decide(set(), [pod(0, 'going'), pod(1)]), '');
});

test('too many Pods go from the highest, one at a time, while the others are well', () => {
  const small = set({ replicas: 1 });
  assert.equal(decide(small, [pod(0), pod(1), pod(2)]), '-2');
  assert.equal(decide(small, [pod(0), pod(1), pod(2, 'going')]), '');
  assert.equal(decide(small, [pod(0, 'unready'), pod(1), pod(2)]), '');
  assert.equal(decide(small, [pod(0), pod(1), pod(2, 'unready')]), '-2');
  assert.equal(decide(small, [pod(0), pod(1, 'unready'), pod(2, 'unready')]), '');
  assert.equal(decide(set({ replicas: 0 }), [pod(0, 'unready'), pod(1, 'unready'), pod(2, 'unready')]), '');
  const shifted = set({ replicas: 2, ordinals: { start: 1 } });
  assert.equal(decide(shifted, [pod(0), pod(1), pod(2)]), '-0');
});

test('an update replaces from the highest down to the partition, and waits for each', () => {
  const next = set({}, 'x:2');
  assert.equal(decide(next, [pod(0), pod(1), pod(2)], update), '-2');
  assert.equal(decide(next, [pod(0), pod(1)], update), '+2 new');
  assert.equal(decide(next, [pod(0), pod(1), pod(2, 'unready', update)], update), '');
  assert.equal(decide(next, [pod(0), pod(1), pod(2, 'ready', update)], update), '-1');
  const parted = set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }, 'x:2');
  assert.equal(decide(parted, [pod(0), pod(1), pod(2, 'ready', update)], update), '');
  assert.equal(decide(parted, [pod(0)], update), '+1 old');
  const onDelete = set({ updateStrategy: { type: 'OnDelete' } }, 'x:2');
  assert.equal(decide(onDelete, [pod(0), pod(1), pod(2)], update), '');
  assert.equal(decide(onDelete, [pod(0), pod(1)], update), '+2 new');
});

test('a set on its way out does nothing', () => {
  const going = set();
  assert.equal(decide({ ...going, metadata: { ...going.metadata, deletionTimestamp: 'now' } }, []), '');
});

test('the status counts by revision, and an update is over when every Pod is of it', () => {
  const status = (pods: PodObject[]) => statefulSetStatus({ set: set({}, 'x:2'), pods, current, update, nowMs });
  const halfway = status([pod(0), pod(1, 'unready'), pod(2, 'ready', update)]);
  assert.deepEqual(
    [halfway.replicas, halfway.readyReplicas, halfway.currentReplicas, halfway.updatedReplicas],
    [3, 2, 2, 1],
  );
  assert.deepEqual([halfway.currentRevision, halfway.updateRevision], [current.metadata?.name, update.metadata?.name]);
  const done = status([0, 1, 2].map((ordinal) => pod(ordinal, 'ready', update)));
  assert.deepEqual([done.currentRevision, done.currentReplicas], [update.metadata?.name, 3]);
});

test('a template is numbered once, and numbered anew when it comes back', () => {
  const named = (revision: RevisionObject, name: string) => ({ ...revision, metadata: { ...revision.metadata, name } });
  const history = [named(current, 'one'), named(update, 'two')];
  assert.deepEqual(
    history.map(({ revision }) => revision),
    [1, 2],
  );
  assert.equal(decideRevision(set({}, 'x:2'), history).write, 'nothing');
  const back = decideRevision(set(), history);
  assert.deepEqual([back.write, back.update.revision, back.update.metadata?.name], ['renumber', 3, 'one']);
  const third = decideRevision(set({}, 'x:3'), history);
  assert.deepEqual([third.write, third.update.revision], ['create', 3]);
  assert.deepEqual(Object.keys((third.update.data as { spec: { template: object } }).spec.template).sort(), [
    '$patch',
    'metadata',
    'spec',
  ]);
  const old = outdatedRevisions(set({ revisionHistoryLimit: 0 }), history, new Set(['two']));
  assert.deepEqual(
    old.map(({ metadata }) => metadata?.name),
    ['one'],
  );
});
