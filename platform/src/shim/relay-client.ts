/**
 * The relay (host/shim/src/relay.rs): a small process that holds containerd's connections while this one is away, because containerd takes a
 * connection that closes for a task that died. Started by whoever first opens a door, it outlives us.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { spawnDetached } from '../base/child.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { StdioKeeper } from '../runtime/bundles/held-stdio.ts';

const patienceMs = 10_000;

export interface RelayOptions {
  /** containerd-shim-sampan-v2. */
  program: string;
  /** <run>/shim. */
  directory: string;
  clock: Clock;
}

/** <door>.sock is listened on, and leads to <door>.inner. Idempotent. Throws FailedPrecondition when the relay cannot be started. */
export async function openRelayed(options: RelayOptions, door: string): Promise<void> {
  const { program, directory, clock } = options;
  const deadline = clock.monotonicMs() + patienceMs;
  for (let isStarted = false; clock.monotonicMs() < deadline; isStarted = true) {
    const answer = await say(directory, [`open ${door}`]);
    if (answer === 'ok') return;
    if (answer !== undefined) throw new SampanError('InternalError', `the relay: ${answer}`);
    if (!isStarted) spawnDetached(program, ['relay', directory], { cwd: '/' }).on('error', () => {});
    await clock.sleep(20);
  }
  throw new SampanError('FailedPrecondition', `${program} relay does not answer in ${directory}`);
}

/** We stop because we were told to: the relay ends, or rests while containerd is connected, and starts nobody. */
export async function restRelay(directory: string): Promise<void> {
  await say(directory, ['end']);
}

/** The relay as who keeps FIFOs open. Where there is none, containerd is not connected, and the FIFOs are nobody's who would wait. */
export function relayKeeper(directory: string, log: Logger): StdioKeeper {
  const tell = async (words: string[]) => {
    const answer = await say(directory, words);
    if (answer !== undefined && answer !== 'ok') log.warn({ answer }, 'a FIFO is not kept open while we are away');
  };
  return {
    hold: (side, paths) => tell(['hold', side, ...paths]),
    release: (paths) => tell(['release', ...paths]),
  };
}

/** Undefined when there is no relay. */
function say(directory: string, words: string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(join(directory, 'relay.sock'));
    let answer = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      answer = `${answer}${chunk}`.slice(0, 1024);
    });
    socket.on('close', () => resolve(answer.trim() || undefined));
    socket.end(`${words.join('\t')}\n`);
  });
}
