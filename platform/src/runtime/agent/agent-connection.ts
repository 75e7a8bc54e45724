/**
 * One connection to a guest agent: calls matched with their replies, frames handed to the streams they belong to.
 *
 * Owns: the socket, synchronising, the bounds on what a guest may make the server keep. Does not own: what calls mean (agent-client.ts), what
 * streams carry (guest-session.ts, output-stream.ts).
 *
 *   connect ──SYNC──▶ synchronising ──SYNC_ACK with our nonce──▶ open ──socket gone, violation, close()──▶ closed
 */
import { randomBytes } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';
import type { z } from 'zod';
import { type Clock, systemClock } from '../../base/clock.ts';
import { answerSchema, errorFromGuest, eventSchema, helloSchema } from './agent-messages.ts';
import { ChannelSocket } from './channel-socket.ts';
import { FloodGuard } from './flood-guard.ts';
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  frameType,
  ProtocolViolation,
  resyncPadding,
  SyncSearch,
} from './frames.ts';
import { maxPayloadBytes } from './payload-pool.ts';
import { firstWindowBytes } from './receive-window.ts';

/** Bytes of unfinished replies that are kept for all calls together. */
const maxReplyBytes = 16 * 1024 * 1024;
const lengthBytes = 4;

export type GuestEvent = z.output<typeof eventSchema>;

/** A stream's end of the connection. Each method may throw ProtocolViolation. */
export interface StreamHandler {
  data(part: number, payload: Buffer): void;
  credit(part: number, bytes: number): void;
  end(part: number): void;
  closed(how: unknown): void;
  /** The connection is gone. */
  failed(error: Error): void;
}

interface PendingCall {
  resolve(reply: { ok: unknown; blob: Buffer }): void;
  reject(error: Error): void;
  pieces: Buffer[];
}

export interface AgentConnectionOptions {
  channel: ChannelSocket;
  sandboxId: string;
  onEvent(event: GuestEvent): void;
  onClosed(error: Error): void;
  clock?: Clock;
}

export class AgentConnection {
  readonly #options: AgentConnectionOptions;
  readonly #guard: FloodGuard;
  readonly #decoder = new FrameDecoder();
  readonly #calls = new Map<number, PendingCall>();
  readonly #streams = new Map<number, StreamHandler>();
  /** Bytes that this guest's agent can be allowed to send on one part of a session. */
  largestWindow: number = firstWindowBytes;
  #replyBytes = 0;
  #lastCall = 0;
  #lastStream = 0;
  #corked = false;
  #closed: Error | undefined;

  constructor(options: AgentConnectionOptions, firstBytes: Buffer) {
    this.#options = options;
    this.#guard = new FloodGuard(options.clock ?? systemClock);
    const { channel } = options;
    channel.receive = (data) => this.#receive(data);
    channel.socket.on('error', (error) => this.#close(this.#gone(error.message)));
    channel.socket.on('close', () => this.#close(this.#gone('the channel was closed')));
    this.#receive(firstBytes);
  }

  /** Sends one call; `blob` follows its JSON. Rejects with the guest's error, or when the connection ends. */
  call(method: string, params: object, blob: Uint8Array = Buffer.alloc(0)): Promise<{ ok: unknown; blob: Buffer }> {
    if (this.#closed) return Promise.reject(this.#closed);
    this.#lastCall = (this.#lastCall % 0xffff_fffe) + 1;
    const id = this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, pieces: [] });
      const head = Buffer.from(JSON.stringify({ method, params }));
      const length = Buffer.alloc(lengthBytes);
      length.writeUInt32LE(head.length);
      const message = Buffer.concat([length, head, blob]);
      for (let at = 0; at < message.length; at += maxPayloadBytes) {
        const more = at + maxPayloadBytes < message.length;
        this.send({ type: frameType.call, part: more ? 1 : 0, id }, message.subarray(at, at + maxPayloadBytes));
      }
    });
  }

  /** Takes a stream id of its own; the handler is told of the stream's frames until `dropStream`, or its close. */
  addStream(handler: StreamHandler): number {
    this.#lastStream += 1;
    this.#streams.set(this.#lastStream, handler);
    return this.#lastStream;
  }

  dropStream(id: number): void {
    this.#streams.delete(id);
  }

  /** What is sent in one turn goes in one write: a guest that is woken costs more than what it is told. */
  send(frame: { type: number; part?: number; id?: number }, payload: Uint8Array = Buffer.alloc(0)): void {
    if (this.#closed) return;
    const { socket } = this.#options.channel;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(() => this.#uncork());
    }
    socket.write(encodeFrame(frame, payload));
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#options.channel.socket.uncork();
  }

  close(): void {
    this.#close(
      new SampanError('ServiceUnavailable', `the connection to sandbox ${this.#options.sandboxId} was closed`),
    );
  }

  #gone(why: string): SampanError {
    return new SampanError('ServiceUnavailable', `agent of sandbox ${this.#options.sandboxId} is gone: ${why}`);
  }

  #close(error: Error): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#uncork();
    this.#options.channel.socket.destroy();
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
    for (const stream of this.#streams.values()) stream.failed(error);
    this.#streams.clear();
    this.#options.onClosed(error);
  }

  #receive(data: Buffer): void {
    try {
      for (const frame of this.#decoder.push(data)) {
        if (this.#closed) return;
        this.#handle(frame);
      }
    } catch (error) {
      // Whatever handling its bytes threw is the guest's doing.
      this.breakOff(
        error instanceof ProtocolViolation ? error.message : 'a message that is not of the protocol',
        error,
      );
    }
  }

  /** The guest lied: ends the connection with the error that is returned. */
  breakOff(why: string, cause?: unknown): SampanError {
    const text = `agent of sandbox ${this.#options.sandboxId} broke the protocol: ${why}`;
    const error = new SampanError('InternalError', text, {}, { cause });
    this.#close(error);
    return error;
  }

  #handle(frame: Frame): void {
    if (frame.type === frameType.reply) {
      this.#reply(frame);
    } else if (frame.type === frameType.event) {
      this.#guard.count('events');
      this.#options.onEvent(eventSchema.parse(JSON.parse(frame.payload.toString())));
    } else if (frame.type === frameType.syncAck) {
      this.#guard.count('greetings');
      const hello = helloSchema.parse(JSON.parse(frame.payload.subarray(16).toString()));
      this.largestWindow = hello.largestWindow;
    } else {
      const stream = this.#streams.get(frame.id);
      if (stream) this.#streamFrame(stream, frame);
      // A stream closed on our side may still have had frames under way.
      else this.#guard.count('frames for closed streams');
    }
  }

  #streamFrame(stream: StreamHandler, frame: Frame): void {
    if (frame.type === frameType.data) {
      if (frame.payload.length === 0) throw new ProtocolViolation('an empty piece of data');
      stream.data(frame.part, frame.payload);
    } else if (frame.type === frameType.credit) {
      if (frame.payload.length !== 4) throw new ProtocolViolation('credit of no size');
      stream.credit(frame.part, frame.payload.readUInt32LE(0));
    } else if (frame.type === frameType.end) {
      stream.end(frame.part);
    } else if (frame.type === frameType.close) {
      this.#streams.delete(frame.id);
      stream.closed(frame.payload.length > 0 ? JSON.parse(frame.payload.toString()) : {});
    } else throw new ProtocolViolation(`a frame of type ${frame.type}`);
  }

  #reply(frame: Frame): void {
    const call = this.#calls.get(frame.id);
    if (!call) throw new ProtocolViolation('an answer to no question');
    const more = (frame.part & 1) === 1;
    if (more && frame.payload.length === 0) throw new ProtocolViolation('an empty piece of an answer');
    this.#replyBytes += frame.payload.length;
    if (this.#replyBytes > maxReplyBytes) throw new ProtocolViolation(`answers of more than ${maxReplyBytes} bytes`);
    call.pieces.push(frame.payload);
    if (more) return;
    const message = Buffer.concat(call.pieces);
    this.#replyBytes -= message.length;
    this.#calls.delete(frame.id);
    this.#settle(call, message);
  }

  #settle(call: PendingCall, message: Buffer): void {
    try {
      const length = message.readUInt32LE(0);
      if (lengthBytes + length > message.length) throw new ProtocolViolation('an answer that is shorter than it says');
      const answer = answerSchema.parse(JSON.parse(message.subarray(lengthBytes, lengthBytes + length).toString()));
      if ('error' in answer) call.reject(errorFromGuest(answer.error));
      else call.resolve({ ok: answer.ok, blob: message.subarray(lengthBytes + length) });
    } catch (error) {
      call.reject(new SampanError('InternalError', `agent of sandbox ${this.#options.sandboxId} broke the protocol`));
      throw error;
    }
  }
}

export interface DialOptions {
  channelPath: string;
  adopted: boolean;
  signal: AbortSignal;
  /** Told when something was sent. */
  onConnected(): void;
}

/** Connects and synchronises once. Gives the channel, paused, and the bytes from the SYNC_ACK on. Rejects when the socket closes or the signal aborts. */
export function dialAgent(options: DialOptions): Promise<{ channel: ChannelSocket; bytes: Buffer }> {
  const { channelPath, adopted, signal } = options;
  const nonce = randomBytes(16);
  const search = new SyncSearch(nonce);
  return new Promise((resolve, reject) => {
    const channel = new ChannelSocket(channelPath, (data) => {
      const bytes = search.push(data);
      if (!bytes) return;
      socket.pause();
      finish(() => resolve({ channel, bytes: Buffer.from(bytes) }));
    });
    const { socket } = channel;
    const finish = (outcome: () => void) => {
      socket.removeAllListeners();
      signal.removeEventListener('abort', onAbort);
      outcome();
    };
    const fail = (error: Error) =>
      finish(() => {
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      });
    const onAbort = () => fail(signal.reason);
    signal.addEventListener('abort', onAbort);
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the channel was closed')));
    socket.on('connect', () => {
      options.onConnected();
      if (adopted) socket.write(resyncPadding);
      socket.write(encodeFrame({ type: frameType.sync }, nonce));
    });
  });
}
