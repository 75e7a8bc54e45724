import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@sampan/api/client.ts';
import { blocking, judge, type OwnerState } from './decide.ts';

function owned(count: number, more: Partial<NonNullable<KubeObject['metadata']>> = {}): KubeObject {
  const ownerReferences = Array.from({ length: count }, (_, i) => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: `owner-${i}`,
    uid: `uid-${i}`,
    blockOwnerDeletion: true,
  }));
  return { metadata: { name: 'it', ownerReferences, ...more } };
}

const waiting = owned(1, { deletionTimestamp: 'now', finalizers: ['foregroundDeletion'] });

function verdict(object: KubeObject, owners: OwnerState[], dependents: KubeObject[] = []): string {
  const judged = judge({ object, owners, dependents: () => dependents });
  if (judged.do === 'delete') return `delete ${judged.policy}`;
  if (judged.do === 'drop-references') return `keep ${judged.keep.map(({ name }) => name).join()}`;
  return judged.do;
}

test('an object stays while an owner stays, and goes with the last', () => {
  assert.equal(verdict(owned(0), []), 'nothing');
  assert.equal(verdict(owned(2), ['solid', 'solid']), 'nothing');
  assert.equal(verdict(owned(2), ['absent', 'solid']), 'keep owner-1');
  assert.equal(verdict(owned(2), ['waiting', 'solid']), 'keep owner-1');
  assert.equal(verdict(owned(2), ['absent', 'absent']), 'delete Background');
  assert.equal(verdict(owned(1, { deletionTimestamp: 'now' }), ['absent']), 'nothing');
});

test('its own finalizers say how it goes', () => {
  assert.equal(verdict(owned(1, { finalizers: ['orphan'] }), ['absent']), 'delete Orphan');
  assert.equal(verdict(owned(1, { finalizers: ['foregroundDeletion'] }), ['absent']), 'delete Foreground');
});

test('an owner in the foreground takes dependents along in the foreground, if they have any themselves', () => {
  assert.equal(verdict(owned(1), ['waiting']), 'delete Background');
  assert.equal(verdict(owned(1), ['waiting'], [owned(1)]), 'delete Foreground');
});

test('a circle of owners that wait for each other is opened', () => {
  assert.equal(verdict(owned(1), ['waiting'], [waiting]), 'unblock');
});

test('an owner waits only for those that block it', () => {
  const owner = { metadata: { uid: 'uid-0' } };
  const free = owned(1);
  free.metadata!.ownerReferences![0]!.blockOwnerDeletion = false;
  assert.equal(blocking(owner, [owned(1), free]).length, 1);
});
