/** Runs a set-up command, handing out its lines for progress and keeping the last of them for the error. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Failure } from '../failure.ts';

export interface CommandOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  onLine?: (line: string) => void;
  /** Do not throw when it fails. */
  failOk?: boolean;
}

export async function runCommand(
  command: string,
  args: string[],
  options: CommandOptions = {},
): Promise<{ code: number; last: string[] }> {
  const child = spawn(command, args, {
    env: options.env ?? process.env,
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const last: string[] = [];
  const take = (line: string) => {
    last.push(line);
    if (last.length > 25) last.shift();
    options.onLine?.(line);
  };
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', take);
  const code = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      take(error.message);
      resolve(127);
    });
    child.on('close', (status) => resolve(status ?? 128));
  });
  if (code !== 0 && !options.failOk) {
    throw new Failure(`${command} ${args.slice(0, 3).join(' ')} failed (exit ${code})`, {
      why: last.slice(-8).join('\n        ') || 'it said nothing',
      mend: 'mend what it names (network, disk space, another apt running), then run the same command again',
    });
  }
  return { code, last };
}
