/** A function run as a process, with streams for its stdio. Windows are the web streams' own. */
import type { GuestMount, GuestSession } from './agent.ts';
import type { FakeGuest } from './fake-agent.ts';
import type { FakeProcess, FakeProgram } from './fake-programs.ts';

export interface FakeSessionOptions {
  program: FakeProgram;
  args: readonly string[];
  env: Record<string, string>;
  guest: FakeGuest;
  mounts: readonly GuestMount[];
  stdin: boolean;
}

export class FakeSession implements GuestSession {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exited: Promise<{ exitCode: number; signal: number }>;
  /** The last size it was given. */
  size: { columns: number; rows: number } | undefined;
  readonly #killed = new AbortController();

  constructor(options: FakeSessionOptions) {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    this.stdin = pipe.writable;
    const stdin = options.stdin ? pipe.readable : new Blob([]).stream();
    const out = outlet();
    const err = outlet();
    this.stdout = out.stream;
    this.stderr = err.stream;
    const process = fakeProcess(options, {
      stdin,
      write: out.write,
      writeError: err.write,
      killed: this.#killed.signal,
    });
    this.exited = run(options.program, process).finally(() => {
      out.end();
      err.end();
    });
  }

  async resize(columns: number, rows: number): Promise<void> {
    this.size = { columns, rows };
  }

  readonly pid = 43;

  async signal(signal: number): Promise<void> {
    this.#killed.abort(signal);
  }

  kill(): void {
    this.#killed.abort(9);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
  }
}

function outlet() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  let open = true;
  const stream = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
    cancel: () => {
      open = false;
    },
  });
  const write = (data: string | Uint8Array) => {
    if (open) controller.enqueue(typeof data === 'string' ? Buffer.from(data) : data);
  };
  const end = () => {
    if (open) controller.close();
    open = false;
  };
  return { stream, write, end };
}

type Stdio = Pick<FakeProcess, 'stdin' | 'write' | 'writeError' | 'killed'>;

export function fakeProcess(options: Omit<FakeSessionOptions, 'program' | 'stdin'>, stdio: Stdio): FakeProcess {
  const { args, env, guest, mounts } = options;
  return {
    args,
    env,
    ...stdio,
    readFile: (path) => {
      const place = guest.fileOf(mounts, path);
      return place?.files.get(place.name);
    },
    writeFile: (path, content) => {
      const place = guest.fileOf(mounts, path);
      place?.files.set(place.name, Buffer.from(content));
    },
  };
}

/** Runs a program to its end, or until SIGKILL, which no program can put off. */
export async function run(program: FakeProgram, process: FakeProcess): Promise<{ exitCode: number; signal: number }> {
  const killed = new Promise<void>((resolve) => {
    const onAbort = () => {
      if (process.killed.reason === 9) resolve();
    };
    process.killed.addEventListener('abort', onAbort);
    onAbort();
  });
  const code = await Promise.race([program(process).catch(() => 1), killed.then(() => 137)]);
  const signal = process.killed.aborted && code === 128 + Number(process.killed.reason) ? code - 128 : 0;
  return { exitCode: code, signal };
}
