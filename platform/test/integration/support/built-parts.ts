/** What tests of machines stand on: the guest and the host's programs as this run has built them, and what Debian's packages bring. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const cache = process.env.SAMPAN_CACHE ?? '/var/cache/sampan';
export const guestDirectory: string = process.env.SAMPAN_GUEST_DIR ?? join(cache, 'guest/current');
export const hostDirectory: string = process.env.SAMPAN_HOST_DIR ?? join(cache, 'host/current');
export const launcherPath: string = join(hostDirectory, 'sampan-launch');

/** Why this machine cannot run tests of machines that need these files too; undefined when it can. */
export function missingForMachines(...more: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const parts = [guestDirectory, launcherPath, '/usr/bin/qemu-system-x86_64', ...more];
  const missing = parts.filter((path) => !existsSync(path));
  return missing.length > 0 ? `${missing.join(', ')} missing; ./sampan test builds or installs them` : undefined;
}
