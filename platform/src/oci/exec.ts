/** `exec`: one more process in a running container, with a holder of its own. */
import { SampanError } from '@sampan/api/errors.ts';
import type { OciProcess, ProcessRef } from '../runtime/bundles/bundle-runtime.ts';
import { readOciConfig } from '../runtime/bundles/oci-config.ts';
import type { ContainerRecord } from './container-records.ts';
import { type Holder, holderOf, isAlive, killQuietly, serveHolder } from './held-process.ts';
import type { LineConnection } from './line-connection.ts';
import type { OciContext } from './oci-context.ts';
import { type ExecProcess, parse, requests } from './oci-requests.ts';
import { statusOf } from './state.ts';

/** Between two looks whether a holder lives. */
const lookMs = 1_000;
/** How long a holder may take to hear how its process ended. */
const hearMs = 10_000;

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
  const ref = { containerId: record.key, execId: nameOf(holder) };
  await context.bundles.addExec({ ...ref, process, stdio, tty });
  try {
    await context.bundles.startExec(ref.containerId, ref.execId);
    await connection.send({ result: {} });
  } catch (error) {
    await giveUp(context, ref);
    await context.bundles.deleteExec(ref.containerId, ref.execId).catch(() => {});
    throw error;
  }
  context.execs.set(holder.pid, ref);
  void watchOver(context, holder, ref);
  await serveHolder(context, connection, holder, ref);
}

/**
 * To its end, and until its holder has heard of that; a process whose holder has died is killed. A service that stops lets both go on, for the next to
 * find.
 */
async function watchOver(context: OciContext, holder: Holder, ref: Required<ProcessRef>): Promise<void> {
  const { bundles, clock, closing } = context;
  const ended = bundles.wait(ref).then(
    () => true,
    () => true,
  );
  const pause = (ms: number) => clock.sleep(ms, closing.signal).catch(() => {});
  while (!(await Promise.race([ended, pause(lookMs).then(() => false)])) && !closing.signal.aborted)
    if (!(await isAlive(holder))) await giveUp(context, ref);
  const deadline = clock.monotonicMs() + hearMs;
  while (!closing.signal.aborted && clock.monotonicMs() < deadline && (await isAlive(holder))) await pause(50);
  if (closing.signal.aborted) return;
  await bundles.deleteExec(ref.containerId, ref.execId).catch(() => {});
  context.execs.delete(holder.pid);
}

/** Its caller has gone: it is killed, and forgotten at once if it never ran. */
async function giveUp(context: OciContext, ref: Required<ProcessRef>): Promise<void> {
  const { bundles } = context;
  const known = bundles.listExecs().find((one) => one.containerId === ref.containerId && one.execId === ref.execId);
  if (known?.state === 'created') await bundles.deleteExec(ref.containerId, ref.execId).catch(() => {});
  else await killQuietly(context, ref);
}

/** Says whose it is, also to a service that comes after this one. */
const nameOf = ({ pid, startTime }: Holder) => `exec-${pid}-${startTime}`;
const namePattern = /^exec-(\d+)-(\d+)$/;

/** What a service before this one left: processes whose holder lives wait for it, the others are killed. */
export async function adoptExecs(context: OciContext): Promise<void> {
  for (const { containerId, execId } of context.bundles.listExecs()) {
    const [, pid, startTime] = namePattern.exec(execId) ?? [];
    if (!pid || !startTime || !context.records.all().some(({ key }) => key === containerId)) continue;
    const holder = { pid: Number(pid), startTime };
    const ref = { containerId, execId };
    context.execs.set(holder.pid, ref);
    void watchOver(context, holder, ref);
    if (!(await isAlive(holder))) await giveUp(context, ref);
  }
}

/** A process made of flags is as the container's own where it says nothing. */
async function completed(process: ExecProcess, record: ContainerRecord): Promise<OciProcess> {
  const { inherit, apparmorProfile: _profile, selinuxLabel, moreCapabilities, ...given } = process;
  if (selinuxLabel) throw new SampanError('Unsupported', 'process.selinuxLabel: the guest has no SELinux');
  const more = (capabilities: OciProcess['capabilities']) =>
    moreCapabilities ? { capabilities: withCapabilities(capabilities ?? {}, moreCapabilities) } : {};
  if (!inherit) {
    const own = { ...given, env: given.env ?? [] } as OciProcess;
    return { ...own, ...more(own.capabilities) };
  }
  const { process: own } = await readOciConfig(record.bundle);
  const { apparmorProfile: _own, selinuxLabel: _label, ...kept } = own;
  return {
    ...kept,
    ...given,
    ...more((kept as OciProcess).capabilities),
    env: [...(own.env ?? []), ...(given.env ?? [])],
    terminal: given.terminal ?? false,
  } as OciProcess;
}

/** As runc adds them. */
function withCapabilities(own: Record<string, string[]>, more: string[]): Record<string, string[]> {
  const sets = ['bounding', 'effective', 'permitted'].map((set) => [set, [...new Set([...(own[set] ?? []), ...more])]]);
  return { ...own, ...Object.fromEntries(sets) };
}
