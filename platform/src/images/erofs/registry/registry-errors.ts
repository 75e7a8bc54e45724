/** What a registry's refusal means (distribution-spec, error codes), and bounded reading of its answers. */
import { type Reason, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { HttpResponse } from './http-transport.ts';

const errorBody = z.object({
  errors: z.array(z.object({ code: z.string().optional(), message: z.string().nullish() })).optional(),
  details: z.string().optional(),
});
const maxErrorBytes = 64 << 10;

/** Reads a whole body. Throws Invalid when it is longer than `limit`. */
export async function readBody(response: HttpResponse, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > limit) throw new SampanError('Invalid', `${what} is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The error that an answer other than success stands for; reads the body. `what` names what was asked for. */
export async function errorFrom(response: HttpResponse, what: string): Promise<SampanError> {
  const said = await saidBy(response);
  const { status } = response;
  const tail = said ? `: ${said}` : '';
  if (status === 401)
    return new SampanError('Unauthorized', `${what}: the registry wants (other) credentials${tail || ' (401)'}`);
  if (status === 403) return new SampanError('Unauthorized', `${what}: access is refused${tail || ' (403)'}`);
  if (status === 404) return new SampanError('NotFound', `${what} does not exist${tail}`);
  if (status === 429) {
    const seconds = Number(response.headers['retry-after']);
    const details = Number.isFinite(seconds) && seconds > 0 ? { retryAfterSeconds: Math.min(seconds, 86_400) } : {};
    return new SampanError('TooManyRequests', `${what}: the registry asks to slow down${tail}`, details);
  }
  const reason: Reason = status >= 500 ? 'ServiceUnavailable' : 'Invalid';
  return new SampanError(reason, `${what}: the registry answered ${status}${tail}`);
}

async function saidBy(response: HttpResponse): Promise<string> {
  try {
    const body = await readBody(response, maxErrorBytes, 'error');
    const { errors, details } = errorBody.parse(JSON.parse(body.toString('utf8')));
    const texts = (errors ?? []).map(({ code, message }) => message || code || '');
    return printable([...texts, details ?? ''].filter(Boolean).join('; '));
  } catch {
    return '';
  }
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 300);
