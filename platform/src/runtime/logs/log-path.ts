/** Where a container's log is: CRI's log_path, which is relative to the sandbox's log_directory. Pure. */
import { isAbsolute, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type * as cri from '../generated/cri.ts';

const maxNameBytes = 255;

/** Absolute; empty where no log is asked for. Throws Invalid for a path that leaves the directory, or names no file that could be. */
export function logPathOf(sandbox: cri.PodSandboxConfig, { logPath, metadata }: cri.ContainerConfig): string {
  if (!sandbox.logDirectory || !logPath) return '';
  const refuse = (why: string) => {
    throw new SampanError(
      'Invalid',
      `container ${metadata?.name}: logPath ${JSON.stringify(logPath.slice(0, 300))} ${why}`,
    );
  };
  if (!isAbsolute(sandbox.logDirectory))
    refuse(`is beneath a logDirectory that is not absolute: ${sandbox.logDirectory}`);
  const names = logPath.split('/');
  if (names.includes('..')) refuse("leads out of the sandbox's logDirectory");
  if (logPath.includes('\0')) refuse('has a zero byte');
  if (['', '.'].includes(names.at(-1)!)) refuse('is a directory');
  if (names.some((name) => Buffer.byteLength(name) > maxNameBytes)) refuse(`has a name of over ${maxNameBytes} bytes`);
  return join(sandbox.logDirectory, logPath);
}
