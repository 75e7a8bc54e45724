/**
 * What a command that failed is told as where its container had ended meanwhile: whatever broke in the guest or on the way there, that there is nothing to run
 * in is what its caller can act on. CRI-O and containerd say so by NotFound and by "container is in CONTAINER_EXITED state".
 */
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { Container } from '../containers/container.ts';
import type { Context } from '../context.ts';

/** How long an agent may take to say what has become of a container. */
const askMs = 2000;
/** crun's words, and the kernel's for namespaces whose first process is on its way out: the guest learns of its end a moment later. */
const goneWords = /is not running$|: No such process$/;
/**
 * What there is of crun where it was killed, or the process that it had made: in the container's control group, with all else there, whose end the guest hears
 * of a moment later.
 */
const killedWords = /crun failed without a word$|fail startup$/;
const askAgainMs = 50;

/** FailedPrecondition for a container that is not running, NotFound for one that is removed, with the state they are in; otherwise `error` itself. */
export async function endedMeanwhile(context: Context, container: Container, error: unknown): Promise<unknown> {
  if (!isReason(error, 'InternalError') && !isReason(error, 'ServiceUnavailable')) return error;
  if (!context.containers.has(container.id))
    return new SampanError('NotFound', `container "${container.id}" not found: it was removed meanwhile`);
  const { record } = context.sandboxOf(container);
  if (record.state !== 'ready')
    return new SampanError('FailedPrecondition', `${nameOf(container)} has ended: its sandbox is ${record.state}`);
  if (container.record.state !== 'running') return notRunning(container, container.record.state);
  if (goneWords.test(messageOf(error))) return notRunning(container, 'exited');
  const state = await stateInGuest(context, container, { mayEnd: killedWords.test(messageOf(error)) });
  return !state || state === 'running' ? error : notRunning(container, state);
}

export const notRunning = (container: Container, state: string): SampanError =>
  new SampanError('FailedPrecondition', `${nameOf(container)} is ${state}, wanted running`);

const nameOf = ({ name, id }: Container) => `container ${name} (${id})`;

/** The guest knows of an end before it is told; with `mayEnd` it may be about to learn of it. Undefined where it does not answer, or does not learn of any. */
async function stateInGuest(
  context: Context,
  container: Container,
  { mayEnd }: { mayEnd: boolean },
): Promise<string | undefined> {
  const { clock } = context.options;
  const enough = new AbortController();
  const asking = async () => {
    const agent = await context.sandboxOf(container).link!.ready();
    for (;;) {
      const all = await agent.listContainers();
      const state = all.find(({ id }) => id === container.id)?.state ?? 'removed';
      if (state !== 'running' || !mayEnd) return state;
      await clock.sleep(askAgainMs, enough.signal);
    }
  };
  const answer = await within(clock, askMs, asking()).catch(() => undefined);
  enough.abort();
  return answer?.value;
}
