import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toolPath } from './tool-path.ts';

test("root's folders are looked into where a shell's PATH lacks them, and none twice", () => {
  const before = process.env.PATH;
  try {
    process.env.PATH = '/usr/bin:/bin';
    const folders = toolPath().split(':');
    assert.deepEqual(folders.slice(0, 4), ['/usr/bin', '/bin', '/usr/sbin', '/sbin']);
    process.env.PATH = toolPath();
    assert.equal(toolPath(), process.env.PATH);
  } finally {
    process.env.PATH = before;
  }
});
