/**
 * The process behind `sampan cri`: the runtime with images and network, served over CRI's socket, without an API server of ours. SIGTERM, SIGINT and the
 * end of whoever started it stop the process only: Pods go on, and the next one takes them up.
 */
import { systemClock } from '../base/clock.ts';
import { type Instance, instanceFromEnvironment } from '../base/config.ts';
import { failpointsFromEnvironment } from '../base/failpoints.ts';
import { createLogger, type Logger, logLevel } from '../base/log.ts';
import { startCriServer } from '../cri/cri-server.ts';
import { connectAgent } from '../runtime/agent/agent-client.ts';
import { createRuntime } from '../runtime/create-runtime.ts';
import { closeVmms, openImages, openNetwork, openVmms } from './drivers.ts';
import { runServiceProcess } from './service-process.ts';

const instance = instanceFromEnvironment();
const socketPath = process.env.SAMPAN_CRI_SOCKET || '/run/sampan/cri.sock';
const log = createLogger({ level: logLevel() });

await runServiceProcess({
  instance,
  log,
  words: { stopping: 'stopping; Pods go on', cannotStart: 'CRI cannot be served' },
  serve: async () => ({ told: { socketPath }, close: await serve(instance, log) }),
});

/** Returns what lets go of everything. */
async function serve(instance: Instance, log: Logger): Promise<() => Promise<void>> {
  const [images, network, vmms] = await Promise.all([
    openImages(instance, log),
    openNetwork(instance, log, { api: false }),
    openVmms(instance, log),
  ]);
  await network.start();
  const onStep = failpointsFromEnvironment();
  const runtime = createRuntime({
    vmms,
    images,
    network,
    connectAgent,
    run: instance.run,
    home: instance.home,
    log: log.child({ part: 'runtime' }),
    ...(onStep ? { onStep } : {}),
  });
  await runtime.recover();
  const server = await startCriServer({ runtime, socketPath, log: log.child({ part: 'cri' }), clock: systemClock });
  return async () => {
    await server.close();
    await runtime.close();
    await Promise.all([closeVmms(vmms), network.close()]);
  };
}
