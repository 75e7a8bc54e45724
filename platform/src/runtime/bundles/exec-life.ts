/** Exec processes in containers of bundles. They belong to this process's connection to the agent: when that ends, they end with 137. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { Deferred } from '../deferred.ts';
import type { BundleContext, LiveExec } from './bundle-context.ts';
import type { BundleExec, BundleExit, StartBundleExec } from './bundle-runtime.ts';
import { agentOf } from './container-life.ts';
import { type InputEnd, type OutputEnd, openInput, openOutput } from './stdio-ends.ts';

const killedExit = 137;
const drainMs = 10_000;

export async function addExec(context: BundleContext, request: StartBundleExec): Promise<BundleExec> {
  const { containerId, execId, stdio, tty } = request;
  const container = context.container(containerId);
  if (container.execs.has(execId))
    throw new SampanError('AlreadyExists', `container ${containerId} has a process ${execId} already`);
  if (container.record.state !== 'running' && container.record.state !== 'paused')
    throw new SampanError('FailedPrecondition', `container ${containerId} is ${container.record.state}, not running`);
  if (!request.process.args?.length) throw new SampanError('Invalid', 'process.args is empty');
  const { clock } = context.options;
  const exec: LiveExec = {
    request,
    exec: { containerId, execId, state: 'created', guestPid: 0, stdio, tty },
    exited: new Deferred(),
    input: await openInput(stdio.stdin, clock),
    outputs: {
      stdout: await openOutput(stdio.stdout, clock),
      stderr: await openOutput(tty ? undefined : stdio.stderr, clock),
    },
    drained: Promise.resolve(),
  };
  container.execs.set(execId, exec);
  context.events.tell({ type: 'exec-added', containerId, execId, guestPid: 0 });
  return { ...exec.exec };
}

export async function startExec(context: BundleContext, containerId: string, execId: string): Promise<BundleExec> {
  const exec = context.exec(containerId, execId);
  if (exec.exec.state !== 'created') return { ...exec.exec };
  const { request } = exec;
  const { width, height } = request.process.consoleSize ?? {};
  try {
    const agent = await agentOf(context, context.container(containerId));
    const session = await agent.exec({
      containerId,
      args: request.process.args,
      process: request.process,
      tty: request.tty,
      stdin: exec.input !== undefined,
      ...(width && height ? { columns: width, rows: height } : {}),
    });
    exec.session = session;
    exec.exec.state = 'running';
    exec.exec.guestPid = session.pid ?? 0;
    exec.drained = Promise.all([
      drain(session.stdout, exec.outputs.stdout),
      drain(session.stderr, exec.outputs.stderr),
    ]).then(() => {});
    if (exec.input) void feed(exec.input, session.stdin);
    void session.exited.then(
      ({ exitCode }) => end(context, exec, { exitCode, message: '' }),
      (error) => end(context, exec, { exitCode: killedExit, message: messageOf(error) }),
    );
  } catch (error) {
    end(context, exec, { exitCode: 126, message: messageOf(error) });
    throw error;
  }
  const { guestPid } = exec.exec;
  context.events.tell({ type: 'exec-started', containerId, execId, guestPid });
  return { ...exec.exec };
}

function end(context: BundleContext, exec: LiveExec, how: { exitCode: number; message: string }): void {
  if (exec.exec.state === 'stopped') return;
  const exit: BundleExit = { ...how, oomKilled: false, finishedAtUnixNanos: context.nowNanos() };
  exec.exec.state = 'stopped';
  exec.exec.exit = exit;
  void exec.input?.close();
  void exec.drained.then(() => Promise.all([exec.outputs.stdout.close(), exec.outputs.stderr.close()]));
  const { containerId, execId, guestPid } = exec.exec;
  context.events.tell({ type: 'exec-exited', containerId, execId, guestPid, exit });
  exec.exited.resolve(exit);
}

async function drain(from: ReadableStream<Uint8Array>, to: OutputEnd): Promise<void> {
  try {
    for await (const data of from) if (!(await to.write(data))) break;
  } catch {
    // The connection went; its end is told by the session.
  }
}

async function feed(input: InputEnd, stdin: WritableStream<Uint8Array>): Promise<void> {
  const writer = stdin.getWriter();
  try {
    for await (const data of input.chunks()) await writer.write(data);
    await writer.close();
  } catch {
    // It has ended, and needs no more input.
  }
}

export async function deleteExec(context: BundleContext, containerId: string, execId: string): Promise<BundleExit> {
  const exec = context.exec(containerId, execId);
  if (exec.exec.state === 'running')
    throw new SampanError(
      'FailedPrecondition',
      `process ${execId} of container ${containerId} is running; kill it first`,
    );
  if (exec.exec.state === 'created') end(context, exec, { exitCode: 0, message: 'it was deleted before it started' });
  await Promise.race([exec.drained, context.options.clock.sleep(drainMs)]);
  await Promise.all([exec.outputs.stdout.close(), exec.outputs.stderr.close()]);
  context.container(containerId).execs.delete(execId);
  return exec.exec.exit!;
}

export async function killExec(
  context: BundleContext,
  containerId: string,
  execId: string,
  signal: number,
): Promise<void> {
  const { exec, session } = context.exec(containerId, execId);
  if (exec.state === 'stopped')
    throw new SampanError('NotFound', `process ${execId} of container ${containerId}: process already finished`);
  if (!session) throw new SampanError('FailedPrecondition', `process ${execId} has not been started`);
  await session.signal(signal);
}
