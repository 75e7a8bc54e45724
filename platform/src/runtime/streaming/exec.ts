/** Exec and ExecSync: another process in a running container. */
import { SampanError } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { Agent, GuestSession } from '../agent/agent.ts';
import type { Container } from '../containers/container.ts';
import type { Context } from '../context.ts';
import type * as cri from '../generated/cri.ts';
import type { StreamSession } from '../runtime.ts';
import { endedMeanwhile, notRunning } from './ended-meanwhile.ts';

/** Of each stream; what containerd and kubelet keep at most. */
const maxOutputBytes = 16 * 1024 * 1024;
const killedWithinMs = 2000;

export async function exec(context: Context, request: cri.ExecRequest): Promise<StreamSession> {
  const tty = request.tty ?? false;
  const container = wantedRunning(context, request.containerId);
  const args = argsOf(request.cmd, container);
  const session = await truly(context, container, async () => {
    const agent = await context.sandboxOf(container).link!.ready();
    return agent.exec({ containerId: container.id, args, tty, stdin: request.stdin ?? false });
  });
  return sessionOf(session, { stdin: request.stdin ?? false, tty });
}

/** Throws Timeout (CRI: DeadlineExceeded) after killing what runs too long, or a guest that does not answer in that time; 0 seconds: as long as it takes. */
export async function execSync(context: Context, request: cri.ExecSyncRequest): Promise<cri.ExecSyncResponse> {
  const container = wantedRunning(context, request.containerId);
  const args = argsOf(request.cmd, container);
  return truly(context, container, () =>
    runToItsEnd(context, { container, args, seconds: Number(request.timeout ?? 0n) }),
  );
}

interface Command {
  container: Container;
  args: string[];
  seconds: number;
}

async function runToItsEnd(context: Context, command: Command): Promise<cri.ExecSyncResponse> {
  const { args, seconds } = command;
  const enough = new AbortController();
  const late = lateness(context, seconds, enough.signal);
  try {
    const beginning = begin(context, command);
    const begun = await Promise.race([beginning, late]);
    if (!begun) {
      beginning.then(
        ({ session }) => session.kill(),
        () => {},
      );
      throw tookTooLong(args, seconds);
    }
    await using session = begun.session;
    const output = Promise.all([collect(session.stdout), collect(session.stderr)]);
    output.catch(() => {});
    const exit = await Promise.race([session.exited, late]);
    if (!exit) {
      session.kill();
      await gone(context, session);
      throw tookTooLong(args, seconds);
    }
    const [stdout, stderr] = await output;
    return { stdout, stderr, exitCode: exit.exitCode };
  } finally {
    enough.abort();
  }
}

async function begin(context: Context, { container, args }: Command): Promise<{ session: GuestSession }> {
  const agent = await context.sandboxOf(container).link!.ready();
  await context.step('exec');
  const session = await agent.exec({ containerId: container.id, args, tty: false, stdin: false });
  await context.step('exec-started');
  return { session };
}

/** Resolves when the time is over; with 0 seconds, never. */
function lateness(context: Context, seconds: number, enough: AbortSignal): Promise<undefined> {
  if (seconds <= 0) return new Promise(() => {});
  return context.options.clock.sleep(seconds * 1000, enough).then(
    () => undefined,
    () => undefined,
  );
}

const tookTooLong = (args: string[], seconds: number) =>
  new SampanError(
    'Timeout',
    `command "${args.join(' ').slice(0, 200)}" did not end within ${seconds} s and was killed`,
  );

/** Whoever hears that a command was killed may count on it; a guest that does not answer is not waited for long. */
async function gone(context: Context, session: GuestSession): Promise<void> {
  await within(context.options.clock, killedWithinMs, session.exited).catch(() => {});
}

/** The container and its agent. Throws NotFound, FailedPrecondition. */
export async function running(
  context: Context,
  id: string | undefined,
): Promise<{ container: Container; agent: Agent }> {
  const container = wantedRunning(context, id);
  return { container, agent: await context.sandboxOf(container).link!.ready() };
}

function wantedRunning(context: Context, id: string | undefined): Container {
  const container = context.container(id);
  if (container.record.state !== 'running') throw notRunning(container, container.record.state);
  return container;
}

/** `work` in a container that may end meanwhile. */
async function truly<T>(context: Context, container: Container, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw await endedMeanwhile(context, container, error);
  }
}

function argsOf(cmd: string[] | undefined, container: Container): string[] {
  if (!cmd?.length) throw new SampanError('Invalid', `exec in container ${container.name}: no command was given`);
  return cmd;
}

/** A guest's session as CRI's clients see it: no stdin that was not asked for, no stderr beside a terminal. */
export function sessionOf(session: GuestSession, options: { stdin: boolean; tty: boolean }): StreamSession {
  const { stdin, stdout, stderr } = session;
  if (!options.stdin) void stdin.close().catch(() => {});
  const exited = session.exited.then(({ exitCode }) => ({ exitCode }));
  // A client may have left before the end, and nobody ask for it.
  exited.catch(() => {});
  return {
    ...(options.stdin ? { stdin } : {}),
    stdout,
    ...(options.tty ? {} : { stderr }),
    resize: (columns, rows) => session.resize(columns, rows),
    exited,
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Reads to the end; keeps the first 16 MiB. */
async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (size < maxOutputBytes) chunks.push(chunk.subarray(0, maxOutputBytes - size));
    size += chunk.length;
  }
  return Buffer.concat(chunks);
}
