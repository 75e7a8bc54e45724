/**
 * A list of whole objects in JSON, sent piece by piece as the client takes it: their JSON is at hand already, and a list of any length takes no
 * more memory than a piece. It owns the items it holds until they are sent.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { constants, createGzip } from 'node:zlib';
import type { Kind } from '@sampan/api/kind.ts';
import { Item } from '../cache/shelf.ts';
import { apiVersionOf } from '../meta/kinds.ts';
import type { Shown } from '../meta/shown.ts';
import { type ListAnswer, listMetadata } from '../verbs/list.ts';
import { type Exchange, isGzipped, setHead } from './exchange.ts';

/** Sent at once: few system calls, and others get their turn in between. */
const pieceBytes = 256 << 10;

/** An object whose JSON stays where it is until `release`. */
export type Held = Item | Buffer;

/** For `listAs`: keeps each item until the exchange is over. */
export function heldFor({ response }: Exchange): (shown: Shown) => Held {
  const items: Item[] = [];
  let isOver = response.closed;
  response.once('close', () => {
    isOver = true;
    for (const item of items.splice(0)) item.release();
  });
  return (shown) => {
    if (isOver || !(shown instanceof Item)) return Buffer.from(JSON.stringify(shown.object));
    items.push(shown.keep());
    return shown;
  };
}

export async function sendList(exchange: Exchange, kind: Kind, answer: ListAnswer<Held>): Promise<void> {
  const { request, response } = exchange;
  const head = { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind.ref), metadata: listMetadata(answer) };
  const opening = Buffer.from(`${JSON.stringify(head).slice(0, -1)},"items":[`);
  const commas = Math.max(0, answer.items.length - 1);
  const bytes = opening.length + answer.items.reduce((sum, { length }) => sum + length, 0) + commas + ending.length;
  setHead(exchange, 200, 'application/json');
  const gzipped = isGzipped(exchange, bytes);
  if (!gzipped) response.setHeader('Content-Length', bytes);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  if (!gzipped) return sendPieces(response, piecesOf(opening, answer.items), response);
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  gzip.pipe(response);
  await sendPieces(gzip, piecesOf(opening, answer.items), response);
}

const comma = Buffer.from(',');
const ending = Buffer.from(']}');

/** Copies, each of about `pieceBytes`, made when they are asked for. */
function* piecesOf(opening: Buffer, items: readonly Held[]): Generator<Buffer> {
  let parts: Buffer[] = [opening];
  let size = opening.length;
  for (const [index, item] of items.entries()) {
    if (size > pieceBytes) {
      yield Buffer.concat(parts, size);
      parts = [];
      size = 0;
    }
    if (index > 0) parts.push(comma);
    const json = item instanceof Item ? item.json : item;
    parts.push(json);
    size += json.length + (index > 0 ? 1 : 0);
  }
  parts.push(ending);
  yield Buffer.concat(parts, size + ending.length);
}

/** A client that leaves ends it. */
async function sendPieces(to: Writable, pieces: Iterable<Buffer>, response: Exchange['response']): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  for (const piece of pieces) {
    if (response.destroyed) break;
    if (!to.write(piece)) await once(to, 'drain', { signal: gone.signal }).catch(() => {});
  }
  if (response.destroyed) to.destroy();
  else to.end();
}
