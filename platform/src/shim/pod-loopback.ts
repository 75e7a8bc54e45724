/**
 * The loopback of Pods' network namespaces on the host, where containerd's CRI plugin dials to forward a port, though their processes are in a machine. What
 * comes in there goes to the machine's own loopback, by way of its agent. Owns the program that listens (host/shim/src/loopback.rs), its socket, and one
 * table of nftables in each namespace; that one goes with the namespace.
 */
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Duplex } from 'node:stream';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { run } from '../base/child.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { LineChild } from '../base/line-child.ts';
import type { Logger } from '../base/log.ts';
import type { GuestSession } from '../runtime/agent/agent.ts';
import { taskName } from './containerd/task-ids.ts';

export interface PodLoopbackOptions {
  /** containerd-shim-sampan-v2. */
  program: string;
  /** A socket of ours, in a directory that only we may enter. */
  socketPath: string;
  /** Throws when nobody listens there. */
  dial(sandboxId: string, port: number): Promise<GuestSession>;
  log: Logger;
  clock?: Clock;
}

/** What listens on 127.0.0.1 gets everything (loopback.rs knows the port). */
const rules = `table ip sampan_loopback
delete table ip sampan_loopback
table ip sampan_loopback {
  chain out {
    type nat hook output priority -100
    ip daddr 127.0.0.0/8 tcp dport != 1 redirect to :1
  }
}
`;

const mostHeadBytes = 512;
/** Were it to die again and again, it would not take up a core. */
const reopenAfterMs = 1_000;

export class PodLoopback {
  readonly #options: PodLoopbackOptions;
  readonly #listeners: LineChild;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  /** Network namespaces by sandbox. */
  readonly #open = new Map<string, string>();
  readonly #stopped = new AbortController();
  #listening: Promise<void> | undefined;

  constructor(options: PodLoopbackOptions) {
    this.#options = options;
    this.#listeners = new LineChild(options.program, ['loopback', options.socketPath], () => void this.#reopen());
    this.#server = createServer({ allowHalfOpen: true }, (socket) => void this.#carry(socket));
  }

  /** Only sandboxes of containerd: nobody else dials there. Never throws: without it a Pod lacks its port-forward. Idempotent. */
  async open(sandboxId: string, netnsPath: string): Promise<void> {
    if (!taskName(sandboxId)) return;
    this.#open.set(sandboxId, netnsPath);
    try {
      this.#listening ??= this.#listen().catch((error) => {
        this.#listening = undefined;
        throw error;
      });
      await this.#listening;
      const redirect = run('nsenter', [`--net=${netnsPath}`, 'nft', '-f', '-'], { input: rules });
      await Promise.all([this.#listeners.ask('open', sandboxId, netnsPath), redirect]);
    } catch (error) {
      this.#options.log.warn({ sandbox: sandboxId, error: messageOf(error) }, 'its ports cannot be forwarded');
    }
  }

  /** Idempotent. */
  async close(sandboxId: string): Promise<void> {
    if (!this.#open.delete(sandboxId)) return;
    await this.#listeners.ask('close', sandboxId).catch(() => {});
  }

  /** Lets go of all of them. */
  stop(): void {
    this.#stopped.abort();
    this.#listeners.close();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Its listeners have died with the program. */
  async #reopen(): Promise<void> {
    this.#options.log.warn({}, 'the program that listens for forwarded ports has died, and is started anew');
    await (this.#options.clock ?? systemClock).sleep(reopenAfterMs, this.#stopped.signal).catch(() => {});
    if (this.#stopped.signal.aborted) return;
    await Promise.all([...this.#open].map(([sandboxId, netnsPath]) => this.open(sandboxId, netnsPath)));
  }

  async #listen(): Promise<void> {
    const { socketPath } = this.#options;
    await mkdir(dirname(socketPath), { recursive: true, mode: 0o700 });
    await rm(socketPath, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(socketPath, resolve);
    await promise;
  }

  async #carry(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    let session: GuestSession | undefined;
    try {
      const { sandboxId, port } = await headOf(socket);
      session = await this.#options.dial(sandboxId, port);
      socket.write('+');
      const { readable, writable } = Duplex.toWeb(socket);
      await Promise.all([
        session.stdout.pipeTo(writable),
        (readable as ReadableStream<Uint8Array>).pipeTo(session.stdin),
      ]);
    } catch (error) {
      this.#options.log.debug({ error: messageOf(error) }, 'a forwarded port is closed');
    } finally {
      socket.destroy();
      session?.kill();
    }
  }
}

/** The line that comes before everything else; no more comes until it is answered. */
function headOf(socket: Socket): Promise<{ sandboxId: string; port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ sandboxId: string; port: number }>();
  let head = '';
  const take = (chunk: Buffer) => {
    head += chunk.toString('utf8');
    if (!head.endsWith('\n') && head.length < mostHeadBytes) return;
    socket.pause();
    socket.off('data', take);
    const [, sandboxId, port] = /^(\S+) (\d{1,5})\n$/.exec(head) ?? [];
    if (sandboxId && port) resolve({ sandboxId, port: Number(port) });
    else reject(new SampanError('Invalid', 'wanted: the name of a sandbox and a port'));
  };
  socket.on('data', take);
  socket.once('close', () => reject(new SampanError('ServiceUnavailable', 'it was closed')));
  return promise;
}
