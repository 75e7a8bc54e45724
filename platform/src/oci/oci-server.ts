/**
 * The service side of the OCI command line (host/oci): a unix socket on which `sampan-runtime` asks, one JSON value a line in both directions.
 *
 *   {"method", "params"} ──▶   ◀── {"result"} or {"error": {"reason", "message"}}
 *
 * Owns: which containers the command line made, in which sandbox each is, and the holders, processes of the host that stand for them
 * (held-process.ts). Does not own: the containers themselves (runtime/bundles does), pid files, console sockets, argument parsing (the command does).
 *
 * `<home>/oci.json` says where the socket is and how this service is started, for a command that finds nobody there.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { ensureDirectory, writeFileAtomic } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { SerialByKey } from '../base/serial.ts';
import type { BundleRuntime } from '../runtime/bundles/bundle-runtime.ts';
import { calls } from './calls.ts';
import { openContainerRecords } from './container-records.ts';
import { create } from './create.ts';
import { events } from './events.ts';
import { exec } from './exec.ts';
import { hold } from './hold.ts';
import { LineConnection } from './line-connection.ts';
import type { Conversation, OciContext } from './oci-context.ts';
import { parseRequest } from './oci-requests.ts';
import { recoverContainers } from './recover-containers.ts';

export interface OciServerOptions {
  bundles: BundleRuntime;
  /** Volatile state of the instance; the socket and the records live below. */
  run: string;
  home: string;
  /** How the service is started: its command line, and what it needs in its environment besides SAMPAN_HOME. */
  start: { command: string[]; environment: Record<string, string> };
  log: Logger;
  clock?: Clock;
  /** For tests: called before each step whose interruption the next service must mend. */
  onStep?: (step: string) => void | Promise<void>;
}

export interface OciServer {
  readonly socketPath: string;
  /** Lets go of the connections; containers and their holders go on, and the holders come back to the next service. */
  close(): Promise<void>;
}

/** Calls that are more than one question and one answer. */
const conversations: Record<string, Conversation> = { create, exec, hold, events };

/** After bundles.recover(). */
export async function serveOci(options: OciServerOptions): Promise<OciServer> {
  const directory = join(options.run, 'oci');
  await ensureDirectory(directory, 0o700);
  const context: OciContext = {
    bundles: options.bundles,
    records: await openContainerRecords(directory),
    serial: new SerialByKey(),
    clock: options.clock ?? systemClock,
    log: options.log,
    onStep: options.onStep ?? (() => {}),
    execs: new Map(),
    closing: new AbortController(),
  };
  await recoverContainers(context);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    void serve(context, new LineConnection(socket));
  });
  const socketPath = join(directory, 'oci.sock');
  await listen(server, socketPath);
  const place = {
    pid: process.pid,
    socket: socketPath,
    start: options.start.command,
    environment: options.start.environment,
  };
  await writeFileAtomic(join(options.home, 'oci.json'), JSON.stringify(place), { mode: 0o600 });
  return {
    socketPath,
    async close() {
      context.closing.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Only root may ask: whoever can ask can start anything. */
async function listen(server: Server, path: string): Promise<void> {
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
}

/** One request a connection. */
async function serve(context: OciContext, connection: LineConnection): Promise<void> {
  try {
    const line = await connection.next();
    if (line === undefined) return;
    const { method, params } = parseRequest(line);
    const conversation = conversations[method];
    if (conversation) return await conversation(context, connection, params);
    const call = calls[method];
    if (!call) throw new SampanError('Unsupported', `there is no call "${method}"`);
    await connection.send({ result: await call(context, params) });
  } catch (error) {
    if (!context.closing.signal.aborted) await connection.send({ error: errorOf(context, error) }).catch(() => {});
  } finally {
    connection.end();
  }
}

function errorOf(context: OciContext, error: unknown): { reason: string; message: string } {
  const named = (message: string) => inCallersWords(context, message);
  if (error instanceof SampanError) return { reason: error.reason, message: named(error.message) };
  context.log.error(
    { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
    'a call failed',
  );
  return { reason: 'InternalError', message: named(messageOf(error)) };
}

/** Below, containers go by our keys; callers know them by their ids. */
const inCallersWords = ({ records }: OciContext, message: string): string =>
  message.replaceAll(/oci-[0-9a-f]{32}/g, (key) => records.all().find((one) => one.key === key)?.id ?? key);
