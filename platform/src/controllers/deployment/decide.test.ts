import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodObject } from '../pods/pod-facts.ts';
import type { ReplicaSetObject } from '../replica-set/decide.ts';
import { decideDeployment } from './decide.ts';
import { type DeploymentObject, newReplicaSet, replicasOf, revisionOf, scaled } from './replica-sets.ts';
import { deadlineInMs } from './status.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => new Date(nowMs + seconds * 1000).toISOString().replace('.000', '');

interface Change {
  image?: string;
  replicas?: number;
  spec?: object;
  status?: object;
  metadata?: object;
}

function deployment({
  image = 'x:1',
  replicas = 4,
  spec = {},
  status = {},
  metadata = {},
}: Change = {}): DeploymentObject {
  const rollingUpdate = { maxSurge: '25%', maxUnavailable: '25%' };
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'd', generation: 2, ...metadata },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image }] } },
      strategy: { type: 'RollingUpdate', rollingUpdate },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
    },
    status,
  };
}

interface SetChange {
  available?: number;
  revision?: number;
  status?: object;
}

/** A set of `of`'s template with `replicas`, all of them there and available unless said otherwise. */
function setOf(
  of: DeploymentObject,
  replicas: number,
  { available = replicas, revision = 1, status = {} }: SetChange = {},
): ReplicaSetObject {
  const set = scaled(of, newReplicaSet(of, BigInt(revision)), replicas);
  const counts = { replicas, readyReplicas: available, availableReplicas: available, observedGeneration: 1 };
  const metadata = { ...set.metadata, uid: `uid-${revision}`, generation: 1, creationTimestamp: at(revision) };
  return { ...set, metadata, status: { ...counts, ...status } };
}

const decide = (of: DeploymentObject, sets: ReplicaSetObject[], pods: PodObject[] = []) =>
  decideDeployment({ deployment: of, sets, pods, nowMs });

const sizes = (sets: ReplicaSetObject[]) => sets.map((set) => `${revisionOf(set)}: ${replicasOf(set)}`);
const condition = (of: ReturnType<typeof decide>, type: string) =>
  of.status.conditions?.find((one) => one.type === type);

test('without a set, one is made under the next revision, with the hash in labels and selector', () => {
  const { create, revision, update } = decide(deployment(), []);
  assert.equal(replicasOf(create!), 4);
  assert.equal(revision, 1n);
  assert.deepEqual(update, []);
  const hash = create!.metadata!.labels!['pod-template-hash']!;
  assert.equal(create!.metadata!.name, `web-${hash}`);
  assert.equal(create!.spec!.selector.matchLabels!['pod-template-hash'], hash);
  assert.equal(create!.spec!.template!.metadata!.labels!['pod-template-hash'], hash);
  const collided = decide(deployment({ status: { collisionCount: 1 } }), []).create!;
  assert.notEqual(collided.metadata!.name, create!.metadata!.name);
});

test('a new template gets what the surge leaves room for, then old Pods go as new ones are available', () => {
  const old = deployment();
  const now = deployment({ image: 'x:2' });
  const first = setOf(old, 4);
  const made = decide(now, [first]);
  assert.deepEqual([revisionOf(made.create!), replicasOf(made.create!)], [2n, 1]);
  const started = decide(now, [first, setOf(now, 1, { revision: 2, available: 0 })]);
  assert.deepEqual(sizes(started.update), ['1: 3']);
  const grown = decide(now, [setOf(old, 3), setOf(now, 1, { revision: 2, available: 0 })]);
  assert.deepEqual(sizes(grown.update), ['2: 2']);
  const waiting = decide(now, [setOf(old, 3), setOf(now, 2, { revision: 2, available: 0 })]);
  assert.deepEqual(waiting.update, []);
  const going = decide(now, [setOf(old, 3), setOf(now, 2, { revision: 2, available: 2 })]);
  assert.deepEqual(sizes(going.update), ['1: 1']);
});

test('Pods of old sets that are of no use anyway go first', () => {
  const [oldest, older, now] = [
    deployment({ image: 'x:1' }),
    deployment({ image: 'x:2' }),
    deployment({ image: 'x:3' }),
  ];
  const sets = [
    setOf(oldest, 3, { revision: 1 }),
    setOf(older, 1, { revision: 2, available: 0 }),
    setOf(now, 1, { revision: 3, available: 0 }),
  ];
  assert.deepEqual(sizes(decide(now, sets).update), ['2: 0']);
});

test('a status from before the last change of a set is not built on', () => {
  const old = deployment();
  const now = deployment({ image: 'x:2' });
  const stale = setOf(now, 2, { revision: 2, available: 2, status: { observedGeneration: 0 } });
  assert.deepEqual(decide(now, [setOf(old, 3), stale]).update, []);
});

test('a template that was there before takes its set back, as the newest revision with a history', () => {
  const old = deployment();
  const now = deployment({ image: 'x:2' });
  const { update, revision } = decide(old, [setOf(old, 0, { revision: 1 }), setOf(now, 4, { revision: 2 })]);
  assert.equal(revision, 3n);
  assert.equal(update[0]!.metadata!.annotations!['deployment.kubernetes.io/revision-history'], '1');
  assert.deepEqual(sizes(update), ['3: 1']);
});

test('a paused Deployment takes a new size and no new template', () => {
  const old = deployment();
  const paused = deployment({ image: 'x:2', replicas: 6, spec: { paused: true } });
  const decision = decide(paused, [setOf(old, 4)]);
  assert.equal(decision.create, undefined);
  assert.deepEqual(sizes(decision.update), ['1: 6']);
  assert.equal(condition(decision, 'Progressing')?.reason, 'DeploymentPaused');
  const resumed = deployment({ image: 'x:2', status: decision.status });
  assert.equal(condition(decide(resumed, [setOf(old, 4)]), 'Progressing')?.reason, 'NewReplicaSetCreated');
});

test('a new size in the middle of a rollout is shared out in proportion', () => {
  const old = deployment({
    replicas: 10,
    spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } },
  });
  const now = deployment({ ...old, image: 'x:2', replicas: 15, spec: { strategy: old.spec!.strategy } });
  const before = deployment({ image: 'x:2', replicas: 10, spec: { strategy: old.spec!.strategy } });
  const { update } = decide(now, [setOf(old, 8), setOf(before, 5, { revision: 2, available: 0 })]);
  assert.deepEqual(sizes(update).sort(), ['1: 11', '2: 7']);
});

test('Recreate empties old sets, waits for their Pods to be gone, and only then makes the new one', () => {
  const strategy = { type: 'Recreate' };
  const old = deployment({ spec: { strategy } });
  const now = deployment({ image: 'x:2', spec: { strategy } });
  assert.deepEqual(sizes(decide(now, [setOf(old, 4)]).update), ['1: 0']);
  const emptied = setOf(old, 0);
  const leaving = {
    metadata: { deletionTimestamp: at(0), ownerReferences: [{ uid: 'uid-1', controller: true }] },
    status: { phase: 'Running' },
  } as PodObject;
  assert.equal(decide(now, [emptied], [leaving]).create, undefined);
  assert.equal(replicasOf(decide(now, [emptied], [{ ...leaving, status: { phase: 'Failed' } }]).create!), 4);
  assert.equal(replicasOf(decide(now, [emptied]).create!), 4);
});

test('old sets beyond the limit go when the rollout is done, oldest first, and none whose Pods are not known to be gone', () => {
  const now = deployment({ image: 'x:9', spec: { revisionHistoryLimit: 1 } });
  const old = [1, 2, 3].map((revision) => setOf(deployment({ image: `x:${revision}` }), 0, { revision }));
  const current = setOf(now, 4, { revision: 9 });
  const removed = (sets: ReplicaSetObject[]) => decide(now, sets).remove.map((set) => Number(revisionOf(set)));
  assert.deepEqual(removed([...old, current]), [1, 2]);
  assert.deepEqual(removed([...old, setOf(now, 4, { revision: 9, available: 3 })]), []);
  const busy = { ...old[0]!, status: { replicas: 0, observedGeneration: 0 } };
  assert.deepEqual(removed([busy, old[1]!, old[2]!, setOf(now, 4, { revision: 9 })]), [2]);
});

test('conditions tell of progress, of its end, and of a deadline that passed', () => {
  const begun = {
    type: 'Progressing',
    status: 'True',
    reason: 'ReplicaSetUpdated',
    lastUpdateTime: at(-700),
    lastTransitionTime: at(-700),
  };
  const stuck = deployment({ status: { updatedReplicas: 4, replicas: 4, conditions: [begun] } });
  const waiting = setOf(stuck, 4, { available: 0 });
  const late = condition(decide(stuck, [waiting]), 'Progressing');
  assert.deepEqual([late?.status, late?.reason], ['False', 'ProgressDeadlineExceeded']);
  assert.equal(condition(decide(stuck, [waiting]), 'Available')?.reason, 'MinimumReplicasUnavailable');
  const inTime = deployment({ status: { ...stuck.status, conditions: [{ ...begun, lastUpdateTime: at(-500) }] } });
  const decision = decide(inTime, [waiting]);
  assert.equal(condition(decision, 'Progressing')?.reason, 'ReplicaSetUpdated');
  assert.equal(deadlineInMs(inTime, decision.status, nowMs), 101_000);
  const more = condition(decide(inTime, [setOf(inTime, 4, { available: 1 })]), 'Progressing');
  assert.deepEqual([more?.lastUpdateTime, more?.lastTransitionTime], [at(0), at(-700)]);
  const done = decide(inTime, [setOf(inTime, 4)]);
  assert.equal(condition(done, 'Progressing')?.reason, 'NewReplicaSetAvailable');
  assert.equal(deadlineInMs(inTime, done.status, nowMs), undefined);
});

test('what keeps a set from making Pods is told by the Deployment', () => {
  const now = deployment();
  const conditions = [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'no quota' }];
  const failing = decide(now, [setOf(now, 4, { available: 0, status: { conditions } })]);
  assert.equal(condition(failing, 'ReplicaFailure')?.message, 'no quota');
  const well = decide(deployment({ status: failing.status }), [setOf(now, 4)]);
  assert.equal(condition(well, 'ReplicaFailure'), undefined);
});

test('a Deployment on its way out changes nothing', () => {
  const going = deployment({ image: 'x:2', metadata: { deletionTimestamp: at(0) } });
  const { create, update, remove } = decide(going, [setOf(deployment(), 4)]);
  assert.deepEqual([create, update, remove], [undefined, [], []]);
});

test('revisions count on exactly where numbers would round', () => {
  const [old, now] = [deployment({ image: 'x:1' }), deployment({ image: 'x:2' })];
  const set = setOf(old, 4);
  set.metadata!.annotations!['deployment.kubernetes.io/revision'] = '3546343826724305832';
  assert.equal(revisionOf(decide(now, [set]).create!), 3546343826724305833n);
});
