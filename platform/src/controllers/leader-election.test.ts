import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.js';
import { startTestApi, type TestApi } from '../../test/integration/api-test-server.ts';
import { FakeClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { LeaderElection } from './leader-election.ts';

const lease = { name: 'controllers', namespace: 'kube-system' };
let api: TestApi;
let opened: LeaderElection[] = [];
afterEach(async () => {
  await Promise.all(opened.map((one) => one.close()));
  opened = [];
  await api[Symbol.asyncDispose]();
});

interface Candidate {
  election: LeaderElection;
  /** What its controllers did. */
  told: string[];
  /** Makes its requests fail, as when the store is away. */
  cut(isCut: boolean): void;
}

function candidate(identity: string, clock: FakeClock): Candidate {
  const told: string[] = [];
  let isCut = false;
  const client = new Proxy(api.client, {
    get: (target, name) =>
      isCut
        ? () => Promise.reject(new SampanError('ServiceUnavailable', 'cut off'))
        : Reflect.get(target, name).bind(target),
  });
  const election = new LeaderElection({
    client,
    log: silentLogger,
    clock,
    identity,
    lease,
    lead: () => ({
      start: async () => void told.push('start'),
      close: async () => void told.push('close'),
    }),
  });
  opened.push(election);
  const cut = (value: boolean) => {
    isCut = value;
  };
  return { election, told, cut };
}

/** Time passes, and what it wakes gets to run. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
  for (let ms = 0; ms < seconds * 1000; ms += 250) {
    await clock.advance(250);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}

const holder = async (client: KubeClient) =>
  (await client.get<Lease & { spec: object }>(resources.leases, lease.name, lease.namespace)).spec.holderIdentity;

test('one of two candidates leads, and goes on leading', async () => {
  api = await startTestApi();
  const clock = new FakeClock();
  const [a, b] = [candidate('a', clock), candidate('b', clock)];
  a.election.start();
  await pass(clock, 1);
  b.election.start();
  await pass(clock, 60);
  assert.deepEqual([a.told, b.told], [['start'], []]);
  assert.equal(await holder(api.client), 'a');
  assert.deepEqual([a.election.holds, b.election.holds], [true, false]);
});

test('a leader that ends hands over at once, after its controllers have ended', async () => {
  api = await startTestApi();
  const clock = new FakeClock();
  const [a, b] = [candidate('a', clock), candidate('b', clock)];
  a.election.start();
  await pass(clock, 1);
  b.election.start();
  await pass(clock, 1);
  await a.election.close();
  assert.deepEqual(a.told, ['start', 'close']);
  await pass(clock, 2);
  assert.deepEqual(b.told, ['start']);
  const { spec } = await api.client.get<Lease & { spec: object }>(resources.leases, lease.name, lease.namespace);
  assert.equal(spec?.leaseTransitions, 1);
});

test('a leader that cannot renew stops its controllers before another one starts, and writes nothing any more', async () => {
  api = await startTestApi();
  const clock = new FakeClock();
  const [a, b] = [candidate('a', clock), candidate('b', clock)];
  a.election.start();
  await pass(clock, 1);
  b.election.start();
  const fenced = a.election.fence(api.client);
  const object = (name: string) => ({ metadata: { name, namespace: 'default' } });
  await fenced.create(resources.configmaps, object('while-leading'));
  await pass(clock, 5);
  a.cut(true);
  let stoppedAt: number | undefined;
  for (let quarter = 0; quarter < 60 && b.told.length === 0; quarter++) {
    await pass(clock, 0.25);
    if (a.told.includes('close')) stoppedAt ??= quarter;
    if (stoppedAt === undefined) assert.deepEqual(b.told, [], 'the other waits until the first has stopped');
  }
  assert.deepEqual([a.told, b.told], [['start', 'close'], ['start']]);
  await assert.rejects(fenced.create(resources.configmaps, object('too-late')), (error) =>
    isReason(error, 'FailedPrecondition'),
  );
  a.cut(false);
  await pass(clock, 5);
  assert.deepEqual(a.told, ['start', 'close'], 'and does not come back while the other leads');
});

test('a process that stood still may not write when it goes on, before it has noticed anything', async () => {
  api = await startTestApi();
  const clock = new FakeClock();
  const a = candidate('a', clock);
  a.election.start();
  await pass(clock, 1);
  a.cut(true);
  // All at once, as after SIGSTOP: no timer of its own has run yet.
  void clock.advance(30_000);
  const fenced = a.election.fence(api.client);
  for (let i = 0; i < 200 && a.election.holds; i++) await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(fenced.delete(resources.pods, 'any', { namespace: 'default' }), (error) =>
    isReason(error, 'FailedPrecondition'),
  );
});
