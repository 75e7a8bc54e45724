import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffStatus } from './diff-status.ts';

test('nothing is sent when nothing changed, though times of conditions differ', () => {
  const conditions = (lastTransitionTime: string) => [{ type: 'Ready', status: 'True', lastTransitionTime }];
  const from = { phase: 'Running', conditions: conditions('2026-01-01T00:00:00Z') };
  assert.equal(diffStatus(from, { phase: 'Running', conditions: conditions('2026-01-02T00:00:00Z') }), undefined);
});

test('only what changed is sent, and what is no longer so is taken away', () => {
  const patch = diffStatus({ phase: 'Running', hostIP: '1', reason: 'x' }, { phase: 'Failed', hostIP: '1' });
  assert.deepEqual(patch, { phase: 'Failed', reason: null });
});

test('conditions of others are not touched, and a reason that no longer holds is taken away', () => {
  const from = {
    conditions: [
      { type: 'x/other', status: 'True' },
      { type: 'Ready', status: 'False', reason: 'No', message: 'no' },
    ],
  };
  const patch = diffStatus(from, { conditions: [{ type: 'Ready', status: 'True' }] });
  assert.deepEqual(patch, { conditions: [{ type: 'Ready', status: 'True', reason: null, message: null }] });
});

test('addresses of a new machine replace those of the old one', () => {
  const patch = diffStatus({ podIPs: [{ ip: '1' }] }, { podIPs: [{ ip: '2' }] });
  assert.deepEqual(patch, { podIPs: [{ ip: '2' }, { $patch: 'replace' }] });
});
