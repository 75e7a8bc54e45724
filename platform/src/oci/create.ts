/**
 * `create`: the sandbox where the container needs one of its own, then the container. The connection is its holder's from then on.
 *
 *   holder ── create ──▶   ◀── prepare ──   ── stdio ──▶   ◀── result, then exit when it ended
 */
import { isAbsolute, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { BundleStdio, SandboxHandler } from '../runtime/bundles/bundle-runtime.ts';
import { guestConfig } from '../runtime/bundles/guest-config.ts';
import { type OciConfig, readOciConfig } from '../runtime/bundles/oci-config.ts';
import { sharedByHost } from '../runtime/bundles/shared-mounts.ts';
import { type ContainerRecord, keyOf } from './container-records.ts';
import { forget } from './delete.ts';
import { checkProgram } from './find-program.ts';
import { holderOf, serveHolder } from './held-process.ts';
import type { LineConnection } from './line-connection.ts';
import type { OciContext } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';
import { checkHandler, isFirstIn, type Neighbour, type Placement, placement, sandboxIdFor } from './placement.ts';

export async function create(context: OciContext, connection: LineConnection, params: unknown): Promise<void> {
  const request = parse(requests.create, params);
  const key = keyOf(request.root, request.id);
  const record = await context.serial.run(key, async () => {
    if (context.records.all().some((one) => one.key === key))
      throw new SampanError('AlreadyExists', `container with id ${request.id} exists already`);
    const config = await readOciConfig(request.bundle);
    const made = recordOf(config, { ...request, key }, context.clock.now());
    const holder = await holderOf(request.pid);
    await connection.send({ prepare: { terminal: config.process.terminal ?? false, rootfs: made.rootfs } });
    const answer = await connection.next();
    if (answer === undefined) throw new SampanError('FailedPrecondition', 'the holder of the container went away');
    const { stdio } = parse(requests.stdio, answer);
    return make(context, { ...made, holder }, config, { stdio, handler: request.handler });
  });
  await connection.send({ result: {} }).catch(async (error) => {
    await context.serial.run(key, () => forget(context, record));
    throw error;
  });
  await serveHolder(context, connection, record.holder, { containerId: key });
}

interface Made extends Omit<ContainerRecord, 'sandboxId'> {}

async function make(
  context: OciContext,
  made: Made,
  config: OciConfig,
  { stdio, handler: byName }: { stdio: BundleStdio; handler: SandboxHandler | undefined },
): Promise<ContainerRecord> {
  const { bundles, records } = context;
  const neighbours = await neighboursOf(context, config);
  const place: Placement = placement(config, { ...made, handler: byName }, neighbours);
  // What is refused is refused before a machine is started for it.
  checkProgram(config, made.rootfs);
  if ('create' in place) {
    const { sysctls = {}, handler, hostNamespaces = [] } = place.create;
    const onHost = handler === 'namespace';
    const isSharedByHost = await sharedByHost(config);
    guestConfig(config, { sharePath: '/', sysctls, onHost, isSharedByHost, hosts: hostNamespaces });
  } else {
    const joined = bundles.listSandboxes().find(({ id }) => id === place.join);
    if (joined) checkHandler(made.annotations, joined.handler);
  }
  const record: ContainerRecord = {
    ...made,
    sandboxId: 'join' in place ? place.join : sandboxIdFor(made.key, neighbours),
  };
  // Nobody may take the sandbox away between the decision to join it and the container's being in it.
  return context.serial.run(`sandbox ${record.sandboxId}`, async () => {
    await context.onStep('oci-record');
    await records.put(record);
    await context.onStep('oci-machine');
    try {
      const hooked = { containerId: record.key, name: record.id, bundle: record.bundle, config };
      if ('create' in place) await bundles.createSandbox({ id: record.sandboxId, ...place.create }, hooked);
      await bundles.createContainer({
        id: record.key,
        name: record.id,
        sandboxId: record.sandboxId,
        bundle: record.bundle,
        config,
        rootfs: record.rootfs,
        stdio,
        tty: config.process.terminal ?? false,
        ...('join' in place && place.pidNamespaceOf ? { pidNamespaceOf: place.pidNamespaceOf } : {}),
      });
      await context.onStep('oci-made');
      if (isFirstIn(record.sandboxId, record.key)) void bundles.countBeside(record.sandboxId, record.holder.pid);
      return record;
    } catch (error) {
      await forget(context, record);
      throw error;
    }
  });
}

function neighboursOf({ bundles, records }: OciContext, { linux }: OciConfig): Promise<Neighbour[]> {
  const names = (linux?.namespaces ?? []).some(({ path }) => path?.startsWith('/proc/'));
  return Promise.all(
    records.all().map(async ({ key, sandboxId, holder, root, annotations }) => {
      const processPid = names ? await bundles.processOnHost(key).catch(() => undefined) : undefined;
      return { key, sandboxId, holderPid: holder.pid, root, annotations, ...(processPid ? { processPid } : {}) };
    }),
  );
}

interface CreateNames {
  key: string;
  root: string;
  id: string;
  bundle: string;
}

function recordOf(
  config: OciConfig,
  { key, root, id, bundle }: CreateNames,
  createdAtMs: number,
): Omit<Made, 'holder'> {
  const path = config.root?.path;
  if (!path) throw new SampanError('Invalid', 'config.json: root.path is missing');
  return {
    key,
    root,
    id,
    bundle,
    rootfs: isAbsolute(path) ? path : join(bundle, path),
    annotations: config.annotations ?? {},
    createdAtMs,
  };
}
