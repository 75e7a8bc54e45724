import assert from 'node:assert/strict';
import { test } from 'node:test';
import { line } from './doctor.ts';

const finding = { check: 'disk', state: 'warn', found: '3 GiB free', mend: 'images want 10 GiB' } as const;

test('a finding is a line, and what to do stands below it', () => {
  assert.equal(line(finding), 'warn  disk         3 GiB free\n                   mend: images want 10 GiB\n');
});

test('in a narrow terminal lines end between words', () => {
  const lines = line({ ...finding, found: 'one two three' }, 30).split('\n');
  assert.deepEqual(lines.slice(0, 2), ['warn  disk         one two', '                   three']);
  assert.ok(lines.every((one) => one.length <= 30));
  assert.match(line({ ...finding, found: 'word'.repeat(20) }, 10), /(word){20}/);
});
