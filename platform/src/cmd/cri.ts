/**
 * The process behind `sampan cri`: the runtime with images and network, served over CRI's socket, without an API server of ours. SIGTERM, SIGINT and the
 * end of whoever started it stop the process only: Pods go on, and the next one takes them up.
 */
import { messageOf } from '@sampan/api/errors.ts';
import { systemClock } from '../base/clock.ts';
import { type Instance, instanceFromEnvironment } from '../base/config.ts';
import { ensureDirectory } from '../base/files.ts';
import { createLogger, type Logger } from '../base/log.ts';
import { startCriServer } from '../cri/cri-server.ts';
import { connectAgent } from '../runtime/agent/agent-client.ts';
import { createRuntime } from '../runtime/create-runtime.ts';
import { closeVmms, openImages, openNetwork, openVmms } from './drivers.ts';
import { takeInstanceLock } from './instance-lock.ts';

const instance = instanceFromEnvironment();
const socketPath = process.env.SAMPAN_CRI_SOCKET || '/run/sampan/cri.sock';
const log = createLogger({ level: process.env.SAMPAN_LOG_LEVEL });

process.on('unhandledRejection', (reason) => {
  log.error(
    { error: messageOf(reason), stack: reason instanceof Error ? reason.stack : undefined },
    'a promise was rejected and nobody cared: this is a bug',
  );
});

try {
  await ensureDirectory(instance.home, 0o700);
  await ensureDirectory(instance.run, 0o711);
  await takeInstanceLock(instance);
  const close = await serve(instance, log);
  let stopping = false;
  const stop = async (reason: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'stopping; Pods go on');
    await close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  process.on('disconnect', () => void stop('whoever started this has ended'));
  log.info({ socketPath, home: instance.home }, 'serving');
  process.send?.({ ready: true, socketPath });
} catch (error) {
  log.error(
    { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
    'CRI cannot be served',
  );
  process.exit(1);
}

/** Returns what lets go of everything. */
async function serve(instance: Instance, log: Logger): Promise<() => Promise<void>> {
  const [images, network, vmms] = await Promise.all([
    openImages(instance, log),
    openNetwork(instance, log, { api: false }),
    openVmms(instance, log),
  ]);
  await network.start();
  const runtime = createRuntime({
    vmms,
    images,
    network,
    connectAgent,
    run: instance.run,
    home: instance.home,
    log: log.child({ part: 'runtime' }),
  });
  await runtime.recover();
  const server = await startCriServer({ runtime, socketPath, log: log.child({ part: 'cri' }), clock: systemClock });
  return async () => {
    await server.close();
    await runtime.close();
    await Promise.all([closeVmms(vmms), network.close()]);
  };
}
