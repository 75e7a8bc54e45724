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

/** What QEMU 7.2 printed when a paravirtual KVM met a kernel's cmpxchg16b, shortened. */
const stuckLog = `KVM internal error. Suberror: 1
extra data[0]: 0x0000000000000001
extra data[1]: 0x74204dc70f48f00f
emulation failure
RAX=ffff888003c40040 RBX=0000000000000000 RCX=0000000080400040 RDX=0000000000400001
R8 =ffffea00000f1008 R9 =0000000000000040 R10=ffff888003c40010 R11=0000000040000000
RIP=ffffffff81317850 RFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 0000000000000000 00000000 00000000
GDT=     fffffe0000001000 0000007f
CR0=80050033 CR2=ffff888003800000 CR3=0000000002a10000 CR4=000100b0
EFER=0000000000000d01
Code=24 5b 80 41 81 e3 00 00
`;

test('a machine that the host cannot run any further says so in KVM’s words, without its registers', () => {
  const exit = decideExit({ console: '', log: stuckLog, isStuck: true });
  const words = 'KVM internal error. Suberror: 1; emulation failure';
  assert.deepEqual(exit, { kind: 'killed', message: `the host cannot run this guest any further: ${words}` });
  assert.match(decideExit({ console: '', log: '', isStuck: true }).message, /QEMU does not say why/);
  assert.equal(decideExit({ console: '', log: stuckLog, isStuck: true, ended: 'destroyed' }).message, 'destroyed');
});
