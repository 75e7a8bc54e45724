/**
 * The host's end of an exec or dial stream: three web streams with windows (guest/PROTOCOL.md, 4). A reader that does not read stops the
 * process in the guest, and nothing piles up here: at most one window a part (receive-window.ts).
 */

import type { GuestSession } from './agent.ts';
import type { AgentConnection, StreamHandler } from './agent-connection.ts';
import { closeSchema } from './agent-messages.ts';
import { ByteQueue } from './byte-queue.ts';
import { frameType, ProtocolViolation } from './frames.ts';
import { firstWindowBytes, ReceiveWindow } from './receive-window.ts';

const largestPiece = 32_768;

/** One part of the guest's output, from frames to a ReadableStream. */
class Inbox {
  readonly stream: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #window: ReceiveWindow;
  readonly #queue = new ByteQueue();
  #wanted = false;
  #ended = false;
  readonly #credit: (bytes: number) => void;

  constructor(largestWindow: number, credit: (bytes: number) => void) {
    this.#window = new ReceiveWindow(largestWindow);
    this.#credit = credit;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.#wanted = true;
          this.#deliver();
        },
        cancel: () => {
          // Nobody will read: let the guest go on as if it were read.
          this.#controller = undefined;
          this.#deliver();
        },
      },
      { highWaterMark: 0 },
    );
  }

  data(payload: Buffer): void {
    if (this.#ended) throw new ProtocolViolation('data after its end');
    this.#window.received(payload.length);
    this.#queue.push(payload);
    this.#deliver();
  }

  /** The process is not wanted any more: no reason to give it large windows. */
  release(): void {
    this.#window.release();
  }

  end(): void {
    this.#ended = true;
    this.#deliver();
  }

  fail(error: Error): void {
    this.#controller?.error(error);
    this.#controller = undefined;
    this.#queue.clear();
    this.#window.release();
  }

  #deliver(): void {
    while (!this.#queue.isEmpty && (this.#wanted || !this.#controller)) {
      const piece = this.#queue.shift()!;
      this.#wanted = false;
      const credit = this.#window.taken(piece.length);
      if (credit > 0) this.#credit(credit);
      this.#controller?.enqueue(piece);
    }
    if (this.#ended && this.#queue.isEmpty) {
      this.#controller?.close();
      this.#controller = undefined;
      this.#window.release();
    }
  }
}

export class AgentSession implements GuestSession, StreamHandler {
  readonly id: number;
  pid?: number;
  readonly stdin: WritableStream<Uint8Array>;
  readonly exited: Promise<{ exitCode: number; signal: number }>;
  readonly #connection: AgentConnection;
  readonly #inboxes: [Inbox, Inbox];
  #resolve!: (exit: { exitCode: number; signal: number }) => void;
  #reject!: (error: Error) => void;
  #window = firstWindowBytes;
  #room: (() => void) | undefined;
  #over = false;

  constructor(connection: AgentConnection) {
    this.#connection = connection;
    this.id = connection.addStream(this);
    this.exited = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.exited.catch(() => {});
    const inbox = (part: number) =>
      new Inbox(connection.largestWindow, (bytes) => {
        const payload = Buffer.alloc(4);
        payload.writeUInt32LE(bytes);
        if (!this.#over) connection.send({ type: frameType.credit, part, id: this.id }, payload);
      });
    this.#inboxes = [inbox(1), inbox(2)];
    this.stdin = new WritableStream<Uint8Array>({
      write: (chunk) => this.#write(chunk),
      close: () => this.#send(frameType.end),
      abort: () => this.kill(),
    });
  }

  get stdout(): ReadableStream<Uint8Array> {
    return this.#inboxes[0].stream;
  }

  get stderr(): ReadableStream<Uint8Array> {
    return this.#inboxes[1].stream;
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#connection.call('resizeSession', { stream: this.id, columns, rows });
  }

  async signal(signal: number): Promise<void> {
    await this.#connection.call('signalSession', { stream: this.id, signal });
  }

  kill(): void {
    for (const inbox of this.#inboxes) inbox.release();
    this.#send(frameType.close);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
  }

  /** The call that opens it failed: there is nothing behind the stream. */
  abandon(error: Error): void {
    this.#connection.dropStream(this.id);
    this.failed(error);
  }

  data(part: number, payload: Buffer): void {
    this.#inbox(part).data(payload);
  }

  credit(part: number, bytes: number): void {
    if (part !== 0 || bytes === 0 || this.#window + bytes > firstWindowBytes)
      throw new ProtocolViolation('credit for nothing');
    this.#window += bytes;
    this.#room?.();
  }

  end(part: number): void {
    this.#inbox(part).end();
  }

  closed(how: unknown): void {
    const exit = closeSchema.parse(how);
    this.#over = true;
    for (const inbox of this.#inboxes) inbox.end();
    this.#room?.();
    this.#resolve(exit);
  }

  failed(error: Error): void {
    this.#over = true;
    for (const inbox of this.#inboxes) inbox.fail(error);
    this.#room?.();
    this.#reject(error);
  }

  #inbox(part: number): Inbox {
    const inbox = this.#inboxes[part - 1];
    if (!inbox) throw new ProtocolViolation(`data of part ${part}`);
    return inbox;
  }

  #send(type: number): void {
    if (!this.#over) this.#connection.send({ type, id: this.id });
  }

  /** What is written after the end goes nowhere, as on a closed pipe nobody minds. */
  async #write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length && !this.#over; ) {
      if (this.#window === 0) {
        await new Promise<void>((resolve) => {
          this.#room = resolve;
        });
        this.#room = undefined;
        continue;
      }
      const size = Math.min(this.#window, largestPiece, chunk.length - at);
      this.#window -= size;
      this.#connection.send({ type: frameType.data, id: this.id }, chunk.subarray(at, at + size));
      at += size;
    }
  }
}
