/**
 * A watch over HTTP: one JSON event a line, for as long as the client stays. Plain events are encoded once for all watchers;
 * a client that does not read is cut off and comes back from the last version it saw.
 */
import type { KubeObject } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { Clock } from '../../base/clock.ts';
import { apiVersionOf } from '../meta/kinds.ts';
import { type IncludeObject, partial, table } from '../meta/present.ts';
import type { Shown } from '../meta/shown.ts';
import { toStatus } from '../meta/status.ts';
import type { VerbContext } from '../verbs/context.ts';
import type { ListQuery } from '../verbs/list-options.ts';
import { type EventType, type WatchSink, watch } from '../verbs/watch.ts';
import { Chunk } from './chunk.ts';
import { type Exchange, setWarnings } from './exchange.ts';
import type { Representation } from './negotiate.ts';

/** Unsent bytes, beyond the state it began with, after which a watcher counts as gone. */
const maxBufferedBytes = 16 * 1024 * 1024;
/** Watches without a timeout end after 30 to 60 minutes, so that they spread anew over servers (min-request-timeout). */
const defaultTimeoutMs = 30 * 60_000;
const maxTimeoutMs = 24 * 3_600_000;

export interface WatchAnswer {
  exchange: Exchange;
  kind: Kind;
  query: ListQuery;
  representation: Representation;
  include: IncludeObject;
}

/** Resolves when the watch is over. Throws what is wrong with the request before the head is sent. */
export async function answerWatch(context: VerbContext, answer: WatchAnswer): Promise<void> {
  const { exchange, query } = answer;
  const over = new AbortController();
  const sink = new HttpSink(answer, context.clock, over);
  exchange.response.on('close', () => over.abort());
  const stop = await watch(context, answer.kind, query, sink).catch((error: unknown) => {
    // Watchers are told of lost history in the stream, as kube-apiserver's watch cache does.
    if (!isReason(error, 'Expired')) throw error;
    sink.end(error);
    return () => {};
  });
  sink.started();
  const wantedMs = query.timeoutSeconds ? query.timeoutSeconds * 1000 : defaultTimeoutMs * (1 + Math.random());
  const timeoutMs = Math.min(wantedMs, maxTimeoutMs);
  await context.clock.sleep(timeoutMs, over.signal).catch(() => {});
  stop();
  over.abort();
  exchange.response.end();
}

class HttpSink implements WatchSink {
  readonly #answer: WatchAnswer;
  readonly #clock: Clock;
  readonly #over: AbortController;
  #opened = false;
  #sentColumns = false;
  #allowedBytes = Number.POSITIVE_INFINITY;

  constructor(answer: WatchAnswer, clock: Clock, over: AbortController) {
    this.#answer = answer;
    this.#clock = clock;
    this.#over = over;
  }

  /** Sends the head, at once: clients wait for it before they believe that they are watching. */
  open(): void {
    const { response } = this.#answer.exchange;
    if (this.#opened) return;
    this.#opened = true;
    response.statusCode = 200;
    response.setHeader('Content-Type', 'application/json;stream=watch');
    response.setHeader('Cache-Control', 'no-cache, private');
    setWarnings(this.#answer.exchange);
    response.flushHeaders();
  }

  event(type: EventType, shown: Shown, encoded?: Map<string, Chunk>): void {
    this.#write(this.#shared(type, encoded, () => this.#line(type, shown)));
    this.#checkPace();
  }

  bookmark(revision: number, endOfInitialEvents: boolean): void {
    const { kind } = this.#answer;
    const annotations = endOfInitialEvents ? { 'k8s.io/initial-events-end': 'true' } : undefined;
    const metadata = { resourceVersion: String(revision), ...(annotations ? { annotations } : {}) };
    const object = { kind: kind.kind, apiVersion: apiVersionOf(kind.ref), metadata };
    this.#write(line('BOOKMARK', this.#presentBookmark(object)));
  }

  end(error?: Error): void {
    if (error) this.#write(line('ERROR', toStatus(error)));
    this.#over.abort();
  }

  #write(chunk: Chunk): void {
    if (this.#over.signal.aborted) return;
    this.open();
    chunk.writeTo(this.#answer.exchange.response);
  }

  #checkPace(): void {
    const { response } = this.#answer.exchange;
    if (response.writableLength <= this.#allowedBytes) return;
    response.destroy();
    this.#over.abort();
  }

  /** The state at the start is out of the writer's hands; from here on the client has to keep up. */
  started(): void {
    this.open();
    this.#allowedBytes = maxBufferedBytes + this.#answer.exchange.response.writableLength;
  }

  /** Plain encodings are kept with the change for the next watcher; tables carry ages and first-time columns, so are not. */
  #shared(type: EventType, encoded: Map<string, Chunk> | undefined, make: () => Chunk): Chunk {
    const { as, version } = this.#answer.representation;
    if (!encoded || as === 'Table') return make();
    const key = `${type} ${as} ${version}`;
    let chunk = encoded.get(key);
    if (!chunk) {
      chunk = make();
      encoded.set(key, chunk);
    }
    return chunk;
  }

  #line(type: EventType, shown: Shown): Chunk {
    const { json } = shown;
    if (!json || this.#answer.representation.as !== 'Object') return line(type, this.#present(shown.object));
    return new Chunk(Buffer.concat([Buffer.from(`{"type":"${type}","object":`), json, lineEnd]));
  }

  #present(object: KubeObject): object {
    const { representation, kind, include } = this.#answer;
    const { as, version } = representation;
    if (as === 'Object') return object;
    if (as !== 'Table') return partial(object, version);
    const columns = !this.#sentColumns;
    this.#sentColumns = true;
    const resourceVersion = object.metadata?.resourceVersion ?? '';
    return table([object], { resourceVersion }, { kind, version, include, columns, nowMs: this.#clock.now() });
  }

  #presentBookmark(object: { metadata: { resourceVersion: string } }): object {
    const { as, version } = this.#answer.representation;
    if (as === 'Object') return object;
    if (as !== 'Table') return partial(object as KubeObject, version);
    const { resourceVersion } = object.metadata;
    return {
      kind: 'Table',
      apiVersion: `meta.k8s.io/${version}`,
      metadata: { resourceVersion },
      rows: [{ cells: [], object: partial(object as KubeObject, version) }],
    };
  }
}

const lineEnd = Buffer.from('}\n');

function line(type: string, object: object): Chunk {
  return new Chunk(Buffer.from(`{"type":"${type}","object":${JSON.stringify(object)}}\n`));
}
