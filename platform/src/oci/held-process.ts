/**
 * Holders: the processes of the host that stand for a container or an exec process towards whoever called (host/oci/src/holder.rs).
 *
 * A holder passes on signals and sizes and is told how the process ended. One that is gone without being told was killed: the process it
 * stands for is killed too, as if the two were one. One whose connection breaks while it lives comes back.
 */
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { startTimeOf } from '../base/process-start.ts';
import type { ProcessRef } from '../runtime/bundles/bundle-runtime.ts';
import type { LineConnection } from './line-connection.ts';
import type { OciContext } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';

export interface Holder {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: tells it from a later process with its number. */
  startTime: string;
}

const sigkill = 9;
/** A killed process closes its connection before it is gone. */
const deathPatienceMs = 2_000;

/** Throws FailedPrecondition when there is no such process. */
export async function holderOf(pid: number): Promise<Holder> {
  const startTime = startTimeOf(pid);
  if (startTime === undefined) throw new SampanError('FailedPrecondition', `the process ${pid} that asked is gone`);
  return { pid, startTime };
}

export async function isAlive(holder: Holder): Promise<boolean> {
  return startTimeOf(holder.pid) === holder.startTime;
}

/** Serves a holder until its process ended or it is gone. */
export async function serveHolder(
  context: OciContext,
  connection: LineConnection,
  holder: Holder,
  process: ProcessRef,
): Promise<void> {
  const listening = listen(context, connection, process);
  const ended = context.bundles.wait(process).then(
    (exit) => exit.exitCode,
    (error) => (isReason(error, 'NotFound') ? 128 + sigkill : Promise.reject(error)),
  );
  const code = await Promise.race([ended, listening]);
  if (code !== undefined) {
    // conmon reads no further once the holder is gone: first everything has to be in its pipes.
    await Promise.race([context.bundles.delivered(process).catch(() => {}), listening]);
    await connection.send({ exit: { code } }).catch(() => {});
    return;
  }
  ended.catch(() => {});
  if (context.closing.signal.aborted || !(await isGone(context, holder))) return;
  await killQuietly(context, process);
}

/** Kills what the holder stood for. */
export async function killQuietly(context: OciContext, process: ProcessRef): Promise<void> {
  await context.bundles.kill(process, sigkill, process.execId === undefined).catch((error) => {
    if (!isReason(error, 'NotFound', 'FailedPrecondition'))
      context.log.warn({ ...process, error: messageOf(error) }, 'a process whose holder is gone could not be killed');
  });
}

async function isGone(context: OciContext, holder: Holder): Promise<boolean> {
  const { clock } = context;
  for (const deadline = clock.monotonicMs() + deathPatienceMs; clock.monotonicMs() < deadline; await clock.sleep(20))
    if (!(await isAlive(holder))) return true;
  return false;
}

/** Resolves when the holder says no more. A signal for what has ended, a size for what has not begun: nobody's error. */
async function listen(context: OciContext, connection: LineConnection, process: ProcessRef): Promise<undefined> {
  for (;;) {
    const value = await connection.next().catch(() => undefined);
    if (value === undefined) return undefined;
    try {
      const said = parse(requests.said, value);
      if ('signal' in said) await context.bundles.kill(process, said.signal);
      else await context.bundles.resize(process, said.resize.columns, said.resize.rows);
    } catch (error) {
      context.log.debug({ ...process, error: messageOf(error) }, 'what a holder passed on came to nothing');
    }
  }
}
