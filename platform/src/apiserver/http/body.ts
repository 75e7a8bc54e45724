/** Request bodies: bounded in bytes and depth, then JSON or YAML. Slow senders are cut off by the server's requestTimeout. */
import type { IncomingMessage } from 'node:http';
import { SampanError } from '@sampan/api/errors.ts';
import { parse as parseYaml } from 'yaml';
import { badRequest } from '../meta/failures.ts';

/** As kube-apiserver's limit on resource requests. */
export const maxBodyBytes = 3 * 1024 * 1024;
const maxDepth = 100;

/** Throws RequestEntityTooLarge as soon as the bound is passed. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): SampanError {
  return new SampanError('RequestEntityTooLarge', `Request entity too large: limit is ${maxBodyBytes}`);
}

/** `application/json` of `application/json; charset=utf-8`. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Throws UnsupportedMediaType for protobuf and anything else that is neither JSON nor YAML. */
export function parseBody(body: Buffer, type: string): unknown {
  switch (type) {
    case '':
    case 'application/json':
      return parseText(body, JSON.parse, 'json');
    case 'application/yaml':
    case 'application/x-yaml':
    case 'text/yaml':
      return parseText(body, parseOneYaml, 'yaml');
    default:
      throw unsupportedType('application/json, application/yaml', type);
  }
}

export function unsupportedType(accepted: string, type: string): SampanError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`;
  return new SampanError('UnsupportedMediaType', type.includes('protobuf') ? `${message} (not ${type})` : message);
}

/** YAML of one document; aliases are bounded so that a small body cannot become a huge object. */
export function parseOneYaml(text: string): unknown {
  return parseYaml(text, { maxAliasCount: 100, uniqueKeys: true, logLevel: 'error' });
}

function parseText(body: Buffer, parse: (text: string) => unknown, format: string): unknown {
  let value: unknown;
  try {
    value = parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw badRequest(`couldn't get version/kind; ${format} parse error: ${(error as Error).message}`);
  }
  checkDepth(value);
  return value;
}

export function checkDepth(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth === maxDepth) throw badRequest(`the body is nested deeper than ${maxDepth} levels`);
  for (const member of Object.values(value)) checkDepth(member, depth + 1);
}
