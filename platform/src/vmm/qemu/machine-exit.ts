/** Why a machine is gone: a pure decision from what the VMM said and left behind. */
import type { MachineExit } from '../vmm.ts';

export interface ExitEvidence {
  /** `reason` of QEMU's SHUTDOWN event (qapi ShutdownCause), when there was one. */
  shutdownCause?: string;
  /** The guest console's tail: hostile text. */
  console: string;
  /** The tail of the VMM's own log. */
  log: string;
  /** QEMU said that it, or KVM, cannot run the guest any further (RunState internal-error). */
  isStuck?: boolean;
  /** Said by us when we ended it. */
  ended?: string;
}

const maxMessageBytes = 1024;

export function decideExit(evidence: ExitEvidence): MachineExit {
  if (evidence.isStuck && evidence.ended === undefined) {
    const words = lastLines(withoutRegisters(evidence.log)) || 'QEMU does not say why';
    return { kind: 'killed', message: bounded(`the host cannot run this guest any further: ${words}`) };
  }
  const guestCauses = ['guest-shutdown', 'guest-reset', 'guest-panic'];
  if (!evidence.shutdownCause || !guestCauses.includes(evidence.shutdownCause)) {
    const words = evidence.ended ?? (lastLines(evidence.log) || 'the VMM process ended without a word');
    return { kind: 'killed', message: bounded(words) };
  }
  const panic = panicLine(evidence.console);
  if (panic || evidence.shutdownCause === 'guest-panic')
    return { kind: 'panicked', message: bounded(panic ?? 'the guest kernel panicked') };
  const how = evidence.shutdownCause === 'guest-reset' ? 'the guest reset the machine' : 'the guest powered off';
  return { kind: 'halted', message: bounded([how, lastLines(evidence.console)].filter(Boolean).join(': ')) };
}

/** The kernel's own line, without its time stamp. With `panic=-1` the reset follows it at once. */
function panicLine(console: string): string | undefined {
  return /Kernel panic - not syncing[^\r\n]*/.exec(console)?.[0];
}

/** QEMU's log without the numbers and registers that follow on an internal error: pages that would cover what was said. */
export function withoutRegisters(log: string): string {
  return log.replace(/^(?:[A-Z][A-Z0-9]{1,3} ?=|Code=|extra data\[).*\n?/gm, '');
}

function lastLines(text: string): string {
  return printable(text).trim().split('\n').slice(-3).join('; ');
}

/** Control characters of a hostile console stay out of logs and events. */
function printable(text: string): string {
  return text.replace(/\r/g, '').replace(/[^\n\x20-\x7e\u00a0-\uffff]/g, '?');
}

function bounded(text: string): string {
  const clean = printable(text).replace(/\n/g, '; ');
  return Buffer.from(clean)
    .subarray(0, maxMessageBytes)
    .toString('utf8')
    .replace(/\ufffd$/, '');
}
