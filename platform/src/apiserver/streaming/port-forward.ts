/** One forwarded connection, whatever carries it: joins the client's two half-streams with a connection to a port of the Pod. */
import { messageOf } from '@sampan/api/errors.ts';
import type { StreamSession } from '../../runtime/runtime.ts';

export interface ForwardedConnection {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}

/**
 * Resolves when the Pod's end has closed and all has gone out, or when the client is gone. Rejects when the port could not be
 * reached or the Pod's end broke; the client's fault is nobody's error.
 */
export async function joinConnection(
  connection: ForwardedConnection,
  connect: () => Promise<StreamSession>,
  gone: AbortSignal,
): Promise<void> {
  await using session = await connect();
  if (gone.aborted) return;
  if (session.stdin) connection.readable.pipeTo(session.stdin, { signal: gone }).catch(() => {});
  else void connection.readable.cancel().catch(() => {});
  try {
    await session.stdout.pipeTo(connection.writable, { signal: gone });
  } catch (error) {
    if (!gone.aborted) throw error;
  }
}

/** What goes over the error stream; kubelet's words, which kubectl prints. */
export const forwardFailure = (port: number, pod: { name: string; uid: string }, error: unknown): string =>
  `error forwarding port ${port} to pod ${pod.name}, uid ${pod.uid}: ${messageOf(error)}`;
