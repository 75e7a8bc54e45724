/** Pods placed by other Pods: affinity, anti-affinity, spread. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeObject, PodObject } from './node-selection.ts';
import { schedule } from './schedule-decision.ts';

/** Two in zone x, one in y, one of no zone. */
const zones: Record<string, string | undefined> = { a: 'x', b: 'x', c: 'y', d: undefined };
const nodes = Object.entries(zones).map(([name, zone]) => ({
  metadata: { name, labels: { host: name, ...(zone && { zone }) } },
  spec: {},
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
})) as unknown as NodeObject[];
const namespaces: Record<string, Record<string, string>> = { default: { team: 'one' }, other: { team: 'two' } };
const size = { cpuMillicores: 1, memoryBytes: 1, ephemeralStorageBytes: 0 };

interface Shape {
  labels?: Record<string, string>;
  namespace?: string;
  deletionTimestamp?: string;
  spec?: object;
}

const pod = ({ spec = {}, namespace = 'default', ...metadata }: Shape): PodObject =>
  ({ metadata: { namespace, ...metadata }, spec }) as unknown as PodObject;
const on = (nodeName: string, shape: Shape = {}) =>
  pod({ labels: { app: 'db' }, ...shape, spec: { ...shape.spec, nodeName } });

/** The nodes that would take the Pod, or why none does. */
function takers(one: PodObject, bound: PodObject[] = []): string {
  const common = {
    pod: one,
    bound,
    needs: () => size,
    allocatable: () => ({ ...size, cpuMillicores: 1e6, memoryBytes: 1e6, pods: 100 }),
    namespaceLabels: (name: string) => namespaces[name],
  };
  const whole = schedule({ ...common, nodes });
  if ('message' in whole) return whole.message;
  // Which ones would: all the others are cordoned, but still there to be counted.
  const alone = (name: string) => nodes.map((node) => (node.metadata!.name === name ? node : cordoned(node)));
  return Object.keys(zones)
    .filter((name) => 'node' in schedule({ ...common, nodes: alone(name) }))
    .join(' ');
}

const cordoned = (node: NodeObject) => ({ ...node, spec: { ...node.spec, unschedulable: true } });
const db = { matchLabels: { app: 'db' } };
const hard = (kind: string, ...terms: object[]) => ({
  affinity: { [kind]: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const near = (term: object) => pod({ labels: { app: 'web' }, spec: hard('podAffinity', term) });
const away = (term: object) => pod({ labels: { app: 'web' }, spec: hard('podAntiAffinity', term) });

test('a Pod that wants others near goes where they are, by the topology it names', () => {
  assert.equal(takers(near({ topologyKey: 'host', labelSelector: db }), [on('b')]), 'b');
  assert.equal(takers(near({ topologyKey: 'zone', labelSelector: db }), [on('b')]), 'a b');
  assert.equal(
    takers(near({ topologyKey: 'zone', labelSelector: db })),
    "0/4 nodes are available: 4 node(s) didn't match pod affinity rules.",
  );
  assert.match(
    takers(near({ topologyKey: 'zone' }), [on('b')]),
    /didn't match pod affinity rules/,
    'no selector: no Pod',
  );
  assert.match(takers(near({ topologyKey: 'zone', labelSelector: db }), [on('d')]), /0\/4/, 'a node of no zone');
});

test('the first of those that want each other may go anywhere they could meet', () => {
  const first = pod({ labels: { app: 'db' }, spec: hard('podAffinity', { topologyKey: 'zone', labelSelector: db }) });
  assert.equal(takers(first), 'a b c');
  assert.equal(takers(first, [on('c')]), 'c');
});

test('a Pod that wants others away goes elsewhere, and who is there keeps it away too', () => {
  assert.equal(takers(away({ topologyKey: 'zone', labelSelector: db }), [on('a')]), 'c d');
  assert.equal(takers(away({ topologyKey: 'host', labelSelector: {} }), [on('a'), on('c'), on('d')]), 'b');
  const everywhere = ['a', 'b', 'c', 'd'].map((name) => on(name));
  assert.equal(
    takers(away({ topologyKey: 'host', labelSelector: db }), everywhere),
    "0/4 nodes are available: 4 node(s) didn't match pod anti-affinity rules.",
  );
  const spec = hard('podAntiAffinity', { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'web' } } });
  assert.equal(takers(pod({ labels: { app: 'web' } }), [on('a', { spec })]), 'c d');
  assert.equal(takers(pod({ labels: { app: 'api' } }), [on('a', { spec })]), 'a b c d');
  const byHost = hard('podAntiAffinity', { topologyKey: 'host', labelSelector: { matchLabels: { app: 'web' } } });
  const several = [on('a', { spec: byHost }), on('c', { spec: byHost }), on('d', { spec })];
  assert.equal(takers(pod({ labels: { app: 'web' } }), several), 'b d', 'each keeps away where it stands');
});

test('Pods of other namespaces count only where the term says so', () => {
  const theirs = [on('a', { namespace: 'other' })];
  const term = { topologyKey: 'host', labelSelector: db };
  assert.equal(takers(away(term), theirs), 'a b c d');
  assert.equal(takers(away({ ...term, namespaces: ['other'] }), theirs), 'b c d');
  assert.equal(takers(away({ ...term, namespaceSelector: {} }), theirs), 'b c d');
  assert.equal(takers(away({ ...term, namespaceSelector: { matchLabels: { team: 'one' } } }), theirs), 'a b c d');
});

test('keys of labels narrow a term to Pods like it, or unlike it', () => {
  const bound = [on('a', { labels: { app: 'db', v: '1' } }), on('c', { labels: { app: 'db', v: '2' } })];
  const mine = (more: object) =>
    pod({
      labels: { v: '2' },
      spec: hard('podAntiAffinity', { topologyKey: 'host', labelSelector: db, ...more }),
    });
  assert.equal(takers(mine({ matchLabelKeys: ['v'] }), bound), 'a b d');
  assert.equal(takers(mine({ mismatchLabelKeys: ['v'] }), bound), 'b c d');
  const others = mine({ matchLabelKeys: ['missing'], mismatchLabelKeys: ['missing'] });
  assert.equal(takers(others, bound), 'b d', 'a key that the Pod itself has not says nothing');
});

const spread = (more: object = {}) =>
  pod({
    labels: { app: 'db' },
    spec: {
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: db, ...more },
      ],
    },
  });

test('Pods are spread as evenly as their constraint demands', () => {
  assert.equal(takers(spread()), 'a b c');
  assert.equal(takers(spread(), [on('a')]), 'c');
  assert.equal(takers(spread({ maxSkew: 2 }), [on('a')]), 'a b c');
  assert.equal(takers(spread({ whenUnsatisfiable: 'ScheduleAnyway' }), [on('a')]), 'a b c d');
  assert.equal(takers(spread(), [on('a', { deletionTimestamp: '2026-01-01T00:00:00Z' })]), 'a b c', 'one that goes');
  assert.equal(takers(spread(), [on('a', { namespace: 'other' })]), 'a b c');
  assert.equal(takers(spread({ minDomains: 3 }), [on('a'), on('c')]), minDomainsMessage);
});

const minDomainsMessage =
  "0/4 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), 3 node(s) didn't match pod topology spread constraints.";

test('only nodes that the Pod may select are counted, unless it says otherwise', () => {
  const onlyX = { nodeSelector: { zone: 'x' } };
  const held = (more: object = {}) => {
    const one = spread({ topologyKey: 'host', ...more });
    return { ...one, spec: { ...one.spec!, ...onlyX } } as PodObject;
  };
  assert.equal(takers(held(), [on('a'), on('b')]), 'a b');
  assert.match(takers(held({ nodeAffinityPolicy: 'Ignore' }), [on('a'), on('b')]), /0\/4/);
});

test('a constraint that only wishes sends a Pod to where the fewest like it are', () => {
  const wish = { topologyKey: 'host', whenUnsatisfiable: 'ScheduleAnyway' };
  const chosen = (one: PodObject, bound: PodObject[], from = nodes) => {
    const allocatable = (node: NodeObject) => ({ ...size, cpuMillicores: 9, pods: 9, memoryBytes: room(node) });
    return schedule({ pod: one, bound, nodes: from, needs: () => size, allocatable, namespaceLabels: () => undefined });
  };
  // Otherwise it would be the one with the most memory.
  const room = (node: NodeObject) => (node.metadata!.name === 'a' ? 20 : 10);
  assert.deepEqual(chosen(spread(wish), []), { node: 'a' });
  assert.deepEqual(chosen(spread(wish), [on('a'), on('b'), on('d')]), { node: 'c' });
  assert.deepEqual(chosen(spread({ ...wish, topologyKey: 'zone' }), [on('b')]), { node: 'c' }, 'd is in no zone');
  const unwelcome = nodes.map((node) => {
    const taints = [{ key: 'spot', effect: 'PreferNoSchedule' }];
    return node.metadata!.name === 'c' ? node : ({ ...node, spec: { taints } } as NodeObject);
  });
  assert.deepEqual(chosen(pod({}), [], unwelcome), { node: 'c' }, 'a taint that only wishes');
  const tolerations = [{ key: 'spot', operator: 'Exists' }];
  assert.deepEqual(chosen(pod({ spec: { tolerations } }), [], unwelcome), { node: 'a' });
});
