/** `exec`: one more process in a running container, with a holder of its own. */
import { randomBytes } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';
import type { OciProcess } from '../runtime/bundles/bundle-runtime.ts';
import { readOciConfig } from '../runtime/bundles/oci-config.ts';
import type { ContainerRecord } from './container-records.ts';
import { holderOf, serveHolder } from './held-process.ts';
import type { LineConnection } from './line-connection.ts';
import type { OciContext } from './oci-context.ts';
import { type ExecProcess, parse, requests } from './oci-requests.ts';
import { statusOf } from './state.ts';

export async function exec(context: OciContext, connection: LineConnection, params: unknown): Promise<void> {
  const request = parse(requests.exec, params);
  const record = context.records.find(request.root, request.id);
  const status = statusOf(context, record);
  if (status !== 'running')
    throw new SampanError('FailedPrecondition', `cannot exec in container ${request.id}: it is ${status}, not running`);
  const process = await completed(request.process, record);
  const holder = await holderOf(request.pid);
  const tty = process.terminal ?? false;
  await connection.send({ prepare: { terminal: tty, rootfs: record.rootfs } });
  const answer = await connection.next();
  if (answer === undefined) return;
  const { stdio } = parse(requests.stdio, answer);
  const ref = { containerId: record.key, execId: `exec-${randomBytes(8).toString('hex')}` };
  await context.bundles.addExec({ ...ref, process, stdio, tty });
  context.execs.set(holder.pid, ref);
  try {
    await context.bundles.startExec(ref.containerId, ref.execId);
    await connection.send({ result: {} });
    await serveHolder(context, connection, holder, ref);
  } finally {
    // A service that stops lets the process go on; whether it can be found again is the bundle runtime's matter.
    if (!context.closing.signal.aborted) await end(context, ref);
    context.execs.delete(holder.pid);
  }
}

/** Forgotten once it has ended. */
async function end(context: OciContext, ref: { containerId: string; execId: string }): Promise<void> {
  await context.bundles.wait(ref).catch(() => {});
  await context.bundles.deleteExec(ref.containerId, ref.execId).catch(() => {});
}

/** A process made of flags is as the container's own where it says nothing. */
async function completed(process: ExecProcess, record: ContainerRecord): Promise<OciProcess> {
  const { inherit, apparmorProfile: _profile, selinuxLabel, ...given } = process;
  if (selinuxLabel) throw new SampanError('Unsupported', 'process.selinuxLabel: the guest has no SELinux');
  if (!inherit) return { ...given, env: given.env ?? [] } as OciProcess;
  const { process: own } = await readOciConfig(record.bundle);
  const { apparmorProfile: _own, selinuxLabel: _label, ...kept } = own;
  return {
    ...kept,
    ...given,
    env: [...(own.env ?? []), ...(given.env ?? [])],
    terminal: given.terminal ?? false,
  } as OciProcess;
}
