/** Runs a command to its end, its output in a file or on the terminal. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Both streams go to this file instead of the terminal. */
  logPath?: string;
}

/** The exit code; -1 when a signal ended it. */
export async function runTo(command: string[], options: RunOptions = {}): Promise<number> {
  const log = options.logPath ? openSync(options.logPath, 'a') : undefined;
  const out = log ?? 'inherit';
  try {
    const child = spawn(command[0]!, command.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', out, out],
    });
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? -1));
    });
  } finally {
    if (log !== undefined) closeSync(log);
  }
}
