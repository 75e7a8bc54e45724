/** Terminal sizes as clients send them: JSON texts one after the other (remotecommand.TerminalSize), cut anyhow. */
import { z } from 'zod';

const sizeSchema = z.object({ Width: z.number().int().min(1).max(65535), Height: z.number().int().min(1).max(65535) });

/** More than this without a whole text in it is no size. */
const maxPending = 1024;

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** Ends where the stream does. Passes over what is no terminal size; kubectl sends 0x0 when it does not know. */
export async function* resizesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<TerminalSize> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of stream) {
    pending += decoder.decode(chunk, { stream: true });
    for (let end = pending.indexOf('}'); end >= 0; end = pending.indexOf('}')) {
      const size = parse(pending.slice(0, end + 1));
      pending = pending.slice(end + 1);
      if (size) yield size;
    }
    if (pending.length > maxPending) pending = '';
  }
}

function parse(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = sizeSchema.parse(JSON.parse(text));
    return { columns: Width, rows: Height };
  } catch {
    return undefined;
  }
}
