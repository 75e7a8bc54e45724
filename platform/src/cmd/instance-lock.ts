/** One server an instance: an abstract socket, which the kernel lets go of whatever way the process ends. */
import { createServer } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import type { Instance } from '../base/config.ts';

/** How a process ends whose home another one serves (EX_TEMPFAIL of sysexits.h): whoever started it may wait for that one. The command line knows it. */
export const lockHeldExit = 75;

/** Holds the lock until the process ends. Throws FailedPrecondition when another server of this home runs. */
export function takeInstanceLock(instance: Instance): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new SampanError(
              'FailedPrecondition',
              `another server already runs for ${instance.home}; ./sampan status tells which, or set SAMPAN_HOME`,
            )
          : error,
      ),
    );
    server.listen({ path: `\0sampan-${instance.tag}` }, () => {
      server.unref();
      resolve();
    });
  });
}
