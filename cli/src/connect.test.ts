import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownNode } from './connect.ts';

test('the node is the server’s own, not whichever kubelet has joined under an earlier name', () => {
  assert.equal(ownNode(['a-kubelet', 'host'], 'host'), 'host');
  assert.equal(ownNode(['a-kubelet'], 'host'), undefined, 'ours has not registered yet');
  assert.equal(ownNode(['host'], undefined), 'host');
});
