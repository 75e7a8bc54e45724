/** Lines out of a stream of bytes: how watch events come over HTTP. */
import { SampanError } from './errors.ts';

/** No object is larger than 3 MiB on the way in; on the way out it may have a wrapping and escapes. */
const maxLineLength = 16 * 1024 * 1024;

/** Complete lines without their ends; an unfinished last line is dropped. Throws ResourceExhausted for an endless one. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      if (end > start) yield rest.slice(start, end);
      start = end + 1;
    }
    rest = rest.slice(start);
    if (rest.length > maxLineLength) throw new SampanError('ResourceExhausted', 'a line of the watch has no end');
  }
}
