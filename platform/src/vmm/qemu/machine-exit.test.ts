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

/** As kvm_cpu_exec and x86_cpu_dump_state print it. */
const stuckLog = `KVM internal error. Suberror: 1
emulation failure
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000663
R8 =0000000000000000 R9 =0000000000000000 R10=0000000000000000 R11=0000000000000000
RIP=000000000000fff0 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 00000000 0000ffff 00009300
GDT=     00000000 0000ffff
CR0=60000010 CR2=0000000000000000 CR3=0000000000000000 CR4=00000000
EFER=0000000000000000
Code=00 00 00 <ea> 5b e0
`;

test('a machine that the host cannot run any further says so in KVM’s words, without its registers', () => {
  const exit = decideExit({ console: '', log: stuckLog, isStuck: true });
  const words = 'KVM internal error. Suberror: 1; emulation failure';
  assert.deepEqual(exit, { kind: 'killed', message: `the host cannot run this guest any further: ${words}` });
  assert.match(decideExit({ console: '', log: '', isStuck: true }).message, /QEMU does not say why/);
  assert.equal(decideExit({ console: '', log: stuckLog, isStuck: true, ended: 'destroyed' }).message, 'destroyed');
});
