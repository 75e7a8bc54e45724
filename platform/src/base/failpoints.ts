/**
 * Failpoints: named steps at which a test ends, fails or holds this process, to see that whoever comes next finds everything. Off unless SAMPAN_FAILPOINTS
 * names a file, which nothing but tests does. The file has at most one line, read at each step:
 *
 *   <step> kill           the process is gone, as by kill -9
 *   <step> fail <code>    the step throws an error of the system with that code (ENOSPC, EIO)
 *   <step> hold           the step waits until the file no longer says so
 *
 * What was done is taken out of the file first (a hold is marked as reached: "<step> held"), so that the next process lives.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Clock, systemClock } from './clock.ts';

export type OnStep = (step: string) => void | Promise<void>;

const pollMs = 10;

/** Undefined where there are none: then a step costs nothing. */
export function failpointsFromEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  clock: Clock = systemClock,
): OnStep | undefined {
  const path = env.SAMPAN_FAILPOINTS;
  if (!path) return undefined;
  return async (step) => {
    const [name, action, detail] = wordsOf(path);
    if (name !== step) return;
    if (action === 'kill') {
      writeFileSync(path, '');
      process.kill(process.pid, 'SIGKILL');
      // The signal is under way.
      await clock.sleep(60_000);
    }
    if (action === 'fail') {
      writeFileSync(path, '');
      throw Object.assign(new Error(`${detail}: failpoint ${step}`), { code: detail });
    }
    if (action === 'hold') {
      writeFileSync(path, `${step} held`);
      while (wordsOf(path)[0] === step) await clock.sleep(pollMs);
    }
  };
}

function wordsOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split(' ');
  } catch {
    return [];
  }
}
