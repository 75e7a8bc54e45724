/** A program run to its end, by tests: an exit code is an answer, never an error. */
import { execFile } from 'node:child_process';

export interface CommandResult {
  /** 128 where a signal or a limit ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** `timeoutMs` by default a minute; then it is killed. */
export function command(
  file: string,
  args: string[],
  options: { input?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<CommandResult> {
  const { input = '', env = process.env, timeoutMs = 60_000 } = options;
  return new Promise((resolve) => {
    const limits = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 } as const;
    const child = execFile(file, args, { env, ...limits }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 128) : 0;
      resolve({ code, stdout, stderr: error && code === 128 ? `${stderr}\n${error.message}` : stderr });
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
