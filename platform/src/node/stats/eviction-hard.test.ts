import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { type DiskRoom, readThresholds, shortageOfDisk } from './eviction-hard.ts';

const gib = 1024 ** 3;
const room = (path: string, more: Partial<DiskRoom> = {}): DiskRoom => ({
  path,
  capacityBytes: 100 * gib,
  availableBytes: 50 * gib,
  inodes: 1000,
  inodesFree: 900,
  ...more,
});

test('thresholds are written as for a kubelet: shares and amounts, of space and of inodes', () => {
  assert.deepEqual(readThresholds('nodefs.available<10%, imagefs.available<2Gi,nodefs.inodesFree<1k'), [
    { disk: 'nodefs', what: 'available', wanted: '10%', share: 0.1 },
    { disk: 'imagefs', what: 'available', wanted: '2Gi', amount: 2 * gib },
    { disk: 'nodefs', what: 'inodesFree', wanted: '1k', amount: 1000 },
  ]);
  assert.deepEqual(readThresholds('none'), []);
  assert.deepEqual(readThresholds('nodefs.available<100%'), []);
  assert.equal(readThresholds().length, 4);
});

test('what is no threshold, or of a signal that nobody looks at, is refused by name', () => {
  for (const bad of ['', 'nodefs.available', 'nodefs.available>5%', 'memory.available<100Mi', 'nodefs.available<101%'])
    assert.throws(
      () => readThresholds(bad),
      (error: Error) => isReason(error, 'Invalid') && error.message.includes(`"${bad}"`),
      bad,
    );
});

test('a disk is short of space or of inodes, each by its own threshold', () => {
  const judge = (text: string, node: Partial<DiskRoom> = {}, images: Partial<DiskRoom> = {}) =>
    shortageOfDisk(readThresholds(text), { nodefs: room('/home', node), imagefs: room('/images', images) });
  const all = 'nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<2Gi';
  assert.equal(judge(all), undefined);
  assert.equal(
    judge(all, { availableBytes: 9.9 * gib }),
    '9.9% of the disk that holds /home is free; at least 10% is wanted (nodefs.available)',
  );
  assert.equal(judge(all, { availableBytes: 10 * gib }), undefined);
  assert.equal(
    judge(all, { inodesFree: 49 }),
    '4.9% of the inodes of the disk that holds /home are free; at least 5% is wanted (nodefs.inodesFree)',
  );
  assert.equal(judge(all, { inodes: 0, inodesFree: 0 }), undefined, 'a file system that does not count them');
  assert.match(judge(all, {}, { availableBytes: gib }) ?? '', /^1\.0% of .* \/images .* at least 2Gi is wanted/);
  assert.equal(judge('none', { availableBytes: 0 }), undefined);
});
