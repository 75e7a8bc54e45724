import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideExit } from './machine-exit.ts';

test('a guest that powers off has halted', () => {
  const exit = decideExit({ shutdownCause: 'guest-shutdown', console: 'bye\r\n', log: '' });
  assert.deepEqual(exit, { kind: 'halted', message: 'the guest powered off: bye' });
});

test('a guest that resets after a panic has panicked, and the kernel’s line says why', () => {
  const console = '[    3.1] Kernel panic - not syncing: sysrq triggered crash\r\n[    3.2] Rebooting\r\n';
  const exit = decideExit({ shutdownCause: 'guest-reset', console, log: '' });
  assert.deepEqual(exit, { kind: 'panicked', message: 'Kernel panic - not syncing: sysrq triggered crash' });
});

test('a guest that resets without a panic has halted', () => {
  assert.equal(decideExit({ shutdownCause: 'guest-reset', console: '', log: '' }).kind, 'halted');
});

test('a VMM that ends without the guest’s doing was killed, and its log says why', () => {
  const exit = decideExit({ console: 'Kernel panic - not syncing: a lie', log: 'one\nqemu: out of memory\n' });
  assert.deepEqual(exit, { kind: 'killed', message: 'one; qemu: out of memory' });
  assert.equal(decideExit({ console: '', log: '', ended: 'destroyed' }).message, 'destroyed');
  assert.ok(decideExit({ console: '', log: '' }).message);
});

test('a hostile console cannot flood or forge the message', () => {
  const console = `\u001b[2J\u0000Kernel panic - not syncing: ${'x'.repeat(100_000)}`;
  const { message } = decideExit({ shutdownCause: 'guest-reset', console, log: '' });
  assert.ok(Buffer.byteLength(message) <= 1024);
  const coloured = decideExit({ shutdownCause: 'guest-shutdown', console: 'a\u001b[31mb', log: '' });
  assert.ok(!coloured.message.includes('\u001b'));
});
