/** One hook as a process of the host: no shell, an environment of its own, its group killed when its time is up. */
import { existsSync } from 'node:fs';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import type { OciHook } from './oci-config.ts';

/** A hook that names no timeout would else hold its container's create for ever. */
const usualTimeoutMs = 10 * 60_000;
const maxOutputBytes = 64 * 1024;

export interface RunHookOptions {
  /** What it reads. */
  state: string;
  /** Where it runs, if that is there. */
  directory: string;
  /** Its process, which is its group's leader. */
  onSpawn: (pid: number) => void;
}

/** Throws InternalError with its last words. */
export async function runHook({ path, args, env, timeout }: OciHook, options: RunHookOptions): Promise<void> {
  const [argv0 = path, ...rest] = args ?? [];
  if (!existsSync(path)) throw new SampanError('InternalError', `${path}: there is no such program`);
  try {
    await run(path, rest, {
      argv0,
      input: options.state,
      cwd: existsSync(options.directory) ? options.directory : '/',
      env: Object.fromEntries((env ?? []).map(nameAndValue)),
      timeoutMs: timeout ? timeout * 1000 : usualTimeoutMs,
      maxOutputBytes,
      withGroup: true,
      mayLeaveOthers: true,
      onSpawn: options.onSpawn,
    });
  } catch (error) {
    throw new SampanError('InternalError', messageOf(error), {}, { cause: error });
  }
}

function nameAndValue(entry: string): [string, string] {
  const end = entry.indexOf('=');
  return [entry.slice(0, end), entry.slice(end + 1)];
}
