import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerdMajor, majorOf, startAnswer } from './containerd-version.ts';

test("containerd's words about itself have its version, and other programs' have none", () => {
  assert.equal(majorOf('containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1\n'), 1);
  assert.equal(
    majorOf('containerd github.com/containerd/containerd/v2 v2.4.2 05044ec0a9a75232cad458027ca83437aae3f4da\n'),
    2,
  );
  assert.equal(majorOf('containerd github.com/containerd/containerd/v2 2.0.0+unknown \n'), 2);
  assert.equal(majorOf('GNU bash, version 5.2.15(1)-release'), 1);
});

test('a program that says nothing of the kind is taken for the oldest', async () => {
  assert.equal(await containerdMajor(process.pid), 1);
  assert.equal(await containerdMajor(0), 1);
});

test('containerd 1 is answered with an address, 2 with what the address is of', () => {
  assert.equal(startAnswer('unix:///run/a.sock', 1).toString(), 'unix:///run/a.sock');
  assert.deepEqual(JSON.parse(startAnswer('unix:///run/a.sock', 2).toString()), {
    version: 3,
    address: 'unix:///run/a.sock',
    protocol: 'ttrpc',
  });
});
