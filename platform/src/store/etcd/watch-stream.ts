/**
 * One watch on one gRPC stream, with a bounded buffer between etcd and the reader.
 *
 * What is history when the watch begins is read at the reader's pace: a full buffer stops the stream (gRPC's flow control). What happens
 * afterwards is cut off with Expired once the buffer is full, so that a reader which stands still costs a bounded amount of memory.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { prefixEnd } from '../keys.ts';
import type { StoreEvent } from '../store.ts';
import type { WatchLimits } from '../watch-hub.ts';
import type { WatchStream } from './connection.ts';
import { isPassing } from './failures.ts';
import type { Event, WatchResponse } from './messages.ts';

export interface WatchBatch {
  events: StoreEvent[];
  /** Everything under the prefix up to here has been handed out. */
  upTo: number;
}

const allKeys = Uint8Array.of(0);

export interface WatchStreamOptions {
  prefix: string;
  after: number;
  limits: WatchLimits;
  signal: AbortSignal;
}

/** Ends when `signal` aborts; throws what the stream ends with. */
export async function* readWatch(stream: WatchStream, options: WatchStreamOptions): AsyncGenerator<WatchBatch> {
  const { prefix, after, signal } = options;
  const buffer = new WatchBuffer(stream, options);
  const cancel = () => {
    buffer.wake();
    stream.cancel();
  };
  signal.addEventListener('abort', cancel);
  try {
    stream.write({
      create_request: {
        key: prefix ? Buffer.from(prefix) : allKeys,
        range_end: prefix ? Buffer.from(prefixEnd(prefix)) : allKeys,
        start_revision: after + 1,
        progress_notify: true,
        prev_kv: true,
        fragment: true,
      },
    });
    while (!signal.aborted) {
      const batch = await buffer.take();
      if (batch && !signal.aborted) yield batch;
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    stream.cancel();
  }
}

class WatchBuffer {
  readonly #stream: WatchStream;
  readonly #options: WatchStreamOptions;
  #events: StoreEvent[] = [];
  #bytes = 0;
  /** Up to which the buffered events are complete. */
  #upTo: number;
  #told: number;
  /** The revision at which the watch began; what is younger is live. */
  #liveAfter = Number.POSITIVE_INFINITY;
  #fragments: Event[] = [];
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(stream: WatchStream, options: WatchStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#upTo = options.after;
    this.#told = options.after;
    stream.on('data', (response: WatchResponse) => this.#receive(response));
    stream.on('error', (error: unknown) => this.#fail(error));
    stream.on('end', () => this.#fail(new SampanError('ServiceUnavailable', 'etcd ended the watch')));
  }

  wake(): void {
    this.#wake();
  }

  /** What has come; undefined when woken for another reason. Events that came before a broken connection are still handed out. */
  async take(): Promise<WatchBatch | undefined> {
    if (this.#told === this.#upTo && this.#failure === undefined && !this.#options.signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    if (this.#options.signal.aborted) return undefined;
    const cutOff = this.#failure !== undefined && !isPassing(this.#failure);
    if (cutOff || (this.#failure !== undefined && this.#told === this.#upTo)) throw this.#failure;
    const batch = { events: this.#events, upTo: this.#upTo };
    this.#events = [];
    this.#bytes = 0;
    this.#told = this.#upTo;
    this.#stream.resume();
    return batch;
  }

  #receive(response: WatchResponse): void {
    const { header, created, canceled, fragment, events } = response;
    if (canceled) this.#fail(cancellation(response));
    if (this.#failure !== undefined) return;
    if (created) this.#liveAfter = header.revision;
    this.#fragments.push(...events);
    if (!fragment) this.#complete(created, header.revision);
  }

  /** A response is whole: of no revision is there half. */
  #complete(created: boolean, revision: number): void {
    const whole = this.#fragments;
    this.#fragments = [];
    for (const event of whole) this.#push(toStoreEvent(event));
    const last = whole.at(-1)?.kv.mod_revision;
    // With no events it is a progress notice: nothing happened under the prefix up to the header's revision.
    if (last !== undefined) this.#upTo = last;
    else if (!created) this.#upTo = Math.max(this.#upTo, revision);
    if (this.#isFull()) {
      if (this.#upTo > this.#liveAfter) this.#cutOff();
      else this.#stream.pause();
    }
    this.#wake();
  }

  #push(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += event.value?.length ?? 0;
  }

  #isFull(): boolean {
    const { maxEvents, maxBytes } = this.#options.limits;
    return this.#events.length > maxEvents || this.#bytes > maxBytes;
  }

  #cutOff(): void {
    const { prefix } = this.#options;
    this.#events = [];
    this.#fail(new SampanError('Expired', `a watch of "${prefix}" read too slowly and was cut off; list again`));
    this.#stream.cancel();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }
}

function cancellation({ compact_revision: oldest, cancel_reason: reason }: WatchResponse): SampanError {
  if (oldest > 0)
    return new SampanError('Expired', `the start of the watch has been compacted; the oldest still held is ${oldest}`);
  return new SampanError('ServiceUnavailable', `etcd cancelled the watch: ${reason || 'no reason given'}`);
}

function toStoreEvent({ type, kv, prev_kv: before }: Event): StoreEvent {
  const common = { key: kv.key.toString('latin1'), revision: kv.mod_revision };
  if (type === 'DELETE') return { type: 'delete', ...common, value: before?.value };
  const isNew = kv.create_revision === kv.mod_revision;
  return { type: 'put', ...common, value: kv.value, ...(before && !isNew ? { previous: before.value } : {}) };
}
