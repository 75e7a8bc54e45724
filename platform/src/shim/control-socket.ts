/**
 * What containerd-shim-sampan-v2 says, one request a connection: a line of tab-separated words, answered by `ok <length>` and so many bytes, or by
 * `error <words>` (host/shim/src/main.rs is the other end).
 */
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { SandboxHandler } from '../runtime/bundles/bundle-runtime.ts';

export interface ControlRequest {
  namespace: string;
  id: string;
  /** containerd's ttrpc socket. */
  containerd: string;
  bundle: string;
  handler: SandboxHandler;
  /** The process that runs the shim. */
  parent: number;
}

export interface ControlCalls {
  start(request: ControlRequest): Promise<Buffer>;
  delete(request: ControlRequest): Promise<Buffer>;
}

const mostBytes = 16 * 1024;

export function serveControl(calls: ControlCalls): Server {
  return createServer((socket) => {
    let held = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      held += chunk.toString('utf8');
      const end = held.indexOf('\n');
      if (end < 0 && held.length > mostBytes) socket.destroy();
      if (end < 0) return;
      socket.pause();
      void answer(socket, calls, held.slice(0, end));
    });
  });
}

async function answer(socket: Socket, calls: ControlCalls, line: string): Promise<void> {
  try {
    const bytes = await outcome(calls, line.split('\t'));
    socket.end(Buffer.concat([Buffer.from(`ok ${bytes.length}\n`), bytes]));
  } catch (error) {
    socket.end(`error ${messageOf(error).replaceAll('\n', ' ')}\n`);
  }
}

function outcome(calls: ControlCalls, [verb, ...words]: string[]): Promise<Buffer> {
  const [namespace, id, containerd, bundle, handler, parent] = words;
  if (!namespace || !id || !containerd?.startsWith('/') || !bundle?.startsWith('/'))
    throw new SampanError('Invalid', 'wanted: verb, namespace, id, socket of containerd, bundle; both paths absolute');
  if ((handler !== 'vm' && handler !== 'namespace') || !/^\d{1,10}$/.test(parent ?? ''))
    throw new SampanError('Invalid', 'wanted after these: vm or namespace, and the id of the process that asks');
  const request: ControlRequest = { namespace, id, containerd, bundle, handler, parent: Number(parent) };
  if (verb === 'start') return calls.start(request);
  if (verb === 'delete') return calls.delete(request);
  throw new SampanError('Unsupported', `"${verb}" is neither start nor delete`);
}
