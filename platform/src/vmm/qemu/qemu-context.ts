/** What all parts of the QEMU driver share; made once by qemu-vmm.ts. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { GuestArtifacts } from '../guest-artifacts.ts';
import type { Rehearsal } from '../vmm.ts';
import type { AccelerationProfile } from './acceleration.ts';
import type { HostCgroups } from './host-cgroups.ts';

export interface QemuContext {
  /** The instance's tmpfs directory. */
  run: string;
  guest: GuestArtifacts;
  launcherPath: string;
  qemuPath: string;
  /** As `qemu-system-x86_64 --version` says it, for the key of a template. */
  qemuVersion: string;
  profile: AccelerationProfile;
  /** Rate of the host's time stamp counter, measured once when it is first asked for. */
  tscKhz: () => Promise<number>;
  cgroups: HostCgroups;
  /** What a clone goes through before it is parked. */
  rehearsal?: Rehearsal;
  /** virtiofsd; undefined where the host has none: then there are no shares. */
  shareServerPath?: string | undefined;
  clock: Clock;
  log: Logger;
}

const uidBase = 200_000;
const uidCount = 300_000;

/** The uid and gid of a VMM: below systemd's container range; two that fall together still see nothing of each other (PID namespaces). */
export function uidFor(name: string): number {
  return uidBase + (createHash('sha256').update(name).digest().readUInt32LE(0) % uidCount);
}
