/**
 * The process behind `sampan runtime`: the one process of a node that serves bundles, to containerd through containerd-shim-sampan-v2 and to the OCI
 * command line. An instance of its own (<SAMPAN_HOME>/runtime), so that it stands beside a platform. SIGTERM and SIGINT stop the process only:
 * machines go on, and the next one takes them up; so it is after kill -9.
 */
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { type Instance, instanceFromEnvironment } from '../base/config.ts';
import { failpointsFromEnvironment } from '../base/failpoints.ts';
import { writeFileAtomic } from '../base/files.ts';
import { createLogger, type Logger, logLevel } from '../base/log.ts';
import { joinNetns } from '../network/cni/join-netns.ts';
import { serveOci } from '../oci/oci-server.ts';
import { connectAgent } from '../runtime/agent/agent-client.ts';
import type { BundleRuntime, CreateBundleSandbox } from '../runtime/bundles/bundle-runtime.ts';
import { createBundleRuntime, type NetnsJoiner } from '../runtime/bundles/create-bundle-runtime.ts';
import { hostShareMounts } from '../runtime/bundles/share-mounts.ts';
import { PodLoopback } from '../shim/pod-loopback.ts';
import { relayKeeper } from '../shim/relay-client.ts';
import { createShimService } from '../shim/shim-service.ts';
import { closeVmms, launcherPath, openNetwork, openVmms } from './drivers.ts';
import { runServiceProcess } from './service-process.ts';
import { version } from './version.ts';

const outer = instanceFromEnvironment();
const instance = instanceFromEnvironment({ ...process.env, SAMPAN_HOME: join(outer.home, 'runtime') });
const log = createLogger({ level: logLevel() });

await runServiceProcess({
  instance,
  log,
  outerHome: outer.home,
  words: { stopping: 'stopping; machines go on', cannotStart: 'bundles cannot be served' },
  serve: async () => ({ told: {}, close: await serve(instance, log) }),
});

/** Returns what lets go of everything. */
async function serve(instance: Instance, log: Logger): Promise<() => Promise<void>> {
  const [network, vmms] = await Promise.all([openNetwork(instance, log, { api: false }), openVmms(instance, log)]);
  await network.start();
  const onStep = failpointsFromEnvironment();
  const steps = onStep ? { onStep } : {};
  const hostDirectory = process.env.SAMPAN_HOST_DIR;
  const program = hostDirectory && join(hostDirectory, 'containerd-shim-sampan-v2');
  const loopback = program
    ? new PodLoopback({
        ...{ program, socketPath: join(instance.run, 'shim/loopback.sock'), log: log.child({ part: 'loopback' }) },
        dial: (id, port) => bundles.dial(id, port),
      })
    : undefined;
  const bundles: BundleRuntime = createBundleRuntime({
    vmms,
    network,
    joinNetns: joiner(loopback),
    connectAgent,
    mounts: hostShareMounts(launcherPath()),
    keeper: relayKeeper(join(instance.run, 'shim'), log.child({ part: 'shim' })),
    run: instance.run,
    log: log.child({ part: 'bundles' }),
    ...steps,
  });
  await bundles.recover();
  const { run } = instance;
  const shim = await createShimService({
    ...{ bundles, run, version, clock: systemClock },
    ...steps,
    canJoinNetns: true,
    ...(program ? { program } : {}),
    log: log.child({ part: 'shim' }),
  });
  await writeShimConf(instance, shim.controlPath);
  const ociLog = log.child({ part: 'oci' });
  const oci = await serveOci({ bundles, run, home: outer.home, start: ownStart(), log: ociLog, ...steps });
  return async () => {
    await oci.close();
    await shim.close();
    await bundles.close();
    loopback?.stop();
    await Promise.all([closeVmms(vmms), network.close()]);
  };
}

/** The tap goes with the namespace, which is its maker's to remove. A machine on the host is in the namespace itself: it needs neither tap nor loopback of ours. */
function joiner(loopback: PodLoopback | undefined): NetnsJoiner {
  const open = async ({ id, netnsPath, handler }: CreateBundleSandbox) =>
    handler === 'vm' ? loopback?.open(id, netnsPath!) : undefined;
  const join = async ({ id, netnsPath, handler }: CreateBundleSandbox) =>
    handler === 'vm' ? joinNetns(id, netnsPath!) : undefined;
  return {
    async attach(request) {
      const opening = open(request);
      // Nothing is under way any more when this fails: detach() takes back all of it.
      return join(request).finally(() => opening);
    },
    adopt: open,
    detach: async (id) => loopback?.close(id),
  };
}

/** How containerd-shim-sampan-v2 finds this process, and starts it anew when it is gone (host/shim/src/conf.rs). */
async function writeShimConf({ home }: Instance, control: string): Promise<void> {
  const { command, environment } = ownStart();
  const lines = [
    `control ${control}`,
    `log ${join(home, 'runtime.log')}`,
    ...command.map((word) => `argument ${word}`),
    ...Object.entries(environment).map(([name, value]) => `variable ${name}=${value}`),
  ];
  await writeFileAtomic(join(home, 'shim.conf'), `${lines.join('\n')}\n`, { mode: 0o600 });
}

/** How this very process was started. */
function ownStart(): { command: string[]; environment: Record<string, string> } {
  const isOurs = (name: string) => /^(SAMPAN_\w+|PATH|NODE_COMPILE_CACHE)$/.test(name);
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => isOurs(name)));
  return {
    command: [process.execPath, ...process.execArgv, import.meta.filename],
    environment: environment as Record<string, string>,
  };
}
