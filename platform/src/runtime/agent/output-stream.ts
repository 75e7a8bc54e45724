/** A container's output as it comes from the guest: bounded by what the guest may keep unacknowledged, checked for gaps. */

import type { OutputChunk } from './agent.ts';
import type { StreamHandler } from './agent-connection.ts';
import { ProtocolViolation } from './frames.ts';
import { givePayload } from './payload-pool.ts';

/** What the agent keeps for each stream (guest/PROTOCOL.md, 4). */
const windowBytes = 512n * 1024n;
/** The agent cuts the bytes of both streams into no more (output.rs). */
const mostChunks = 8192;
const headBytes = 16;

export interface Offsets {
  stdout: bigint;
  stderr: bigint;
}

export class OutputStream implements StreamHandler {
  readonly #next: Offsets;
  readonly #acknowledged: Offsets;
  #told: bigint;
  readonly #begun = { stdout: false, stderr: false };
  #queue: OutputChunk[] = [];
  /** Chunks that were not acknowledged yet, in the order of their stream, with the memory they are in. */
  readonly #held: Record<'stdout' | 'stderr', { end: bigint; payload: Buffer }[]> = { stdout: [], stderr: [] };
  #wake: (() => void) | undefined;
  #over = false;
  #error: Error | undefined;

  constructor(from: Offsets) {
    this.#next = { ...from };
    this.#acknowledged = { ...from };
    this.#told = from.stdout + from.stderr;
  }

  acknowledge(upTo: Offsets): void {
    for (const stream of ['stdout', 'stderr'] as const)
      if (upTo[stream] > this.#acknowledged[stream]) {
        this.#acknowledged[stream] = upTo[stream];
        const held = this.#held[stream];
        while (held.length > 0 && held[0]!.end <= upTo[stream]) givePayload(held.shift()!.payload);
      }
  }

  /** Acknowledged by the reader since the guest was last told. */
  get untoldBytes(): number {
    const { stdout, stderr } = this.#acknowledged;
    return Number(stdout + stderr - this.#told);
  }

  told(): void {
    this.#told = this.#acknowledged.stdout + this.#acknowledged.stderr;
  }

  data(part: number, payload: Buffer): void {
    const stream = part === 1 ? 'stdout' : part === 2 ? 'stderr' : undefined;
    if (!stream || payload.length <= headBytes)
      throw new ProtocolViolation(`output of ${payload.length} bytes in part ${part}`);
    const offset = payload.readBigUInt64LE(0);
    const data = payload.subarray(headBytes);
    // Only the first piece may be further than asked: what is before it was acknowledged to a server before us.
    if (offset < this.#next[stream] || (this.#begun[stream] && offset > this.#next[stream]))
      throw new ProtocolViolation(`output at ${offset} where ${this.#next[stream]} was due`);
    if (!this.#begun[stream] && offset > this.#acknowledged[stream]) this.#acknowledged[stream] = offset;
    this.#begun[stream] = true;
    this.#next[stream] = offset + BigInt(data.length);
    if (this.#next[stream] > this.#acknowledged[stream] + windowBytes)
      throw new ProtocolViolation('more output than may be unacknowledged');
    if (this.#queue.length >= mostChunks) throw new ProtocolViolation('output in too many pieces');
    this.#held[stream].push({ end: this.#next[stream], payload });
    this.#queue.push({ stream, offset, timeUnixNanos: payload.readBigUInt64LE(8), data });
    this.#wake?.();
  }

  credit(): void {
    throw new ProtocolViolation('credit on an output');
  }

  end(): void {
    throw new ProtocolViolation('an end of half an output');
  }

  closed(): void {
    this.#over = true;
    this.#wake?.();
  }

  failed(error: Error): void {
    this.#error = error;
    this.#wake?.();
  }

  async *chunks(): AsyncGenerator<OutputChunk, void, void> {
    for (;;) {
      yield* this.#queue.splice(0);
      if (this.#queue.length > 0) continue;
      if (this.#error) throw this.#error;
      if (this.#over) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
