/** What runs in a fake container: functions in place of programs. */

export interface FakeProcess {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: AsyncIterable<Uint8Array>;
  write(text: string | Uint8Array): void;
  writeError(text: string | Uint8Array): void;
  /** Aborts when the process is killed; its reason is the signal's number. */
  readonly killed: AbortSignal;
  /** A file of a mounted volume. */
  readFile(path: string): Uint8Array | undefined;
  writeFile(path: string, content: string | Uint8Array): void;
}

/** Resolves with the exit code. Should end when `killed` aborts; SIGKILL does not wait for it. */
export type FakeProgram = (process: FakeProcess) => Promise<number>;

const untilKilled = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });

export const fakePrograms: Record<string, FakeProgram> = {
  true: async () => 0,
  false: async () => 1,
  echo: async (process) => {
    process.write(`${process.args.slice(1).join(' ')}\n`);
    return 0;
  },
  printf: async (process) => {
    process.write(process.args[1] ?? '');
    return 0;
  },
  sleep: async (process) => {
    await untilKilled(process.killed);
    return 128 + Number(process.killed.reason);
  },
  cat: async (process) => {
    const path = process.args[1];
    if (path === undefined) {
      for await (const data of process.stdin) process.write(data);
      return 0;
    }
    const content = process.readFile(path);
    if (content) process.write(content);
    else process.writeError(`cat: can't open '${path}': No such file or directory\n`);
    return content ? 0 : 1;
  },
  /** Only `sh -c 'exit N'`. */
  sh: async (process) => Number(/^exit (\d+)$/.exec(process.args[2] ?? '')?.[1] ?? 127),
};
