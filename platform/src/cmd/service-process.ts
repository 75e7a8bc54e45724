/**
 * The life of a process that serves an instance: the instance's directories and lock, then whatever it serves, until a signal or (with a channel
 * to it) the end of whoever started it. Stopping lets go of things only; Pods and machines go on.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Instance } from '../base/config.ts';
import { ensureDirectory } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { lockHeldExit, takeInstanceLock } from './instance-lock.ts';

export interface Served {
  /** Told to the log, and with `ready: true` to whoever started the process. */
  told: Record<string, unknown>;
  close(): Promise<void>;
}

export interface ServiceProcessOptions {
  instance: Instance;
  log: Logger;
  /** Directory that the instance's home lies in, when it is ours to make. */
  outerHome?: string;
  serve(): Promise<Served>;
  /** For the log: what goes on when this stops, and what is not to be had when it cannot start. */
  words: { stopping: string; cannotStart: string };
}

export async function runServiceProcess(options: ServiceProcessOptions): Promise<void> {
  const { instance, log, outerHome, serve, words } = options;
  process.on('unhandledRejection', (reason) =>
    log.error(faultOf(reason), 'a promise was rejected and nobody cared: this is a bug'),
  );
  try {
    if (outerHome) await ensureDirectory(outerHome, 0o700);
    await ensureDirectory(instance.home, 0o700);
    await ensureDirectory(instance.run, 0o711);
    await takeInstanceLock(instance).catch((error) => {
      log.error(faultOf(error), words.cannotStart);
      process.exit(lockHeldExit);
    });
    const { told, close } = await serve();
    let stopping = false;
    const stop = async (reason: string) => {
      if (stopping) return;
      stopping = true;
      log.info({ reason }, words.stopping);
      await close();
      process.exit(0);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
    process.on('disconnect', () => void stop('whoever started this has ended'));
    log.info({ ...told, home: instance.home }, 'serving');
    process.send?.({ ready: true, ...told });
  } catch (error) {
    log.error(faultOf(error), words.cannotStart);
    process.exit(1);
  }
}

const faultOf = (error: unknown) => ({
  error: messageOf(error),
  stack: error instanceof Error ? error.stack : undefined,
});
