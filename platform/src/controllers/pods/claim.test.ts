import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@sampan/api/client.ts';
import { decideClaims } from './claim.ts';

const owner: KubeObject = { metadata: { name: 'web', uid: 'u1' } };
const mine = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u1', controller: true };

function object(name: string, app: string, references: object[] = [], more: object = {}): KubeObject {
  return { metadata: { name, labels: { app }, ownerReferences: references as never, ...more } };
}

const selects = ({ metadata }: KubeObject) => metadata?.labels?.app === 'web';
const names = (objects: KubeObject[]) => objects.map(({ metadata }) => metadata?.name);

test('what it owns and selects stays, what it no longer selects goes, what nobody owns comes', () => {
  const claims = decideClaims({
    owner,
    owned: [
      object('a', 'web', [mine]),
      object('b', 'other', [mine]),
      object('x', 'web', [{ ...mine, controller: false }]),
    ],
    orphans: [object('c', 'web'), object('d', 'other'), object('e', 'web', [], { deletionTimestamp: 'now' })],
    selects,
  });
  assert.deepEqual([names(claims.owned), names(claims.adopt), names(claims.release)], [['a'], ['c'], ['b']]);
});

test('an owner on its way out takes nothing and lets nothing go', () => {
  const claims = decideClaims({
    owner: { metadata: { ...owner.metadata, deletionTimestamp: 'now' } },
    owned: [object('a', 'web', [mine]), object('b', 'other', [mine])],
    orphans: [object('c', 'web')],
    selects,
  });
  assert.deepEqual([names(claims.owned), claims.adopt, claims.release], [['a'], [], []]);
});
