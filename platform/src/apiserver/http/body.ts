/** Request bodies: bounded in bytes, depth and the time they take, then JSON or YAML. */
import type { IncomingMessage } from 'node:http';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { checkDepth } from '../meta/depth.ts';
import { noteDoubledFields } from '../meta/doubled-fields.ts';
import { badRequest } from '../meta/failures.ts';
import { decodeProtobuf, protobufType } from './protobuf.ts';
import { parseOneYaml } from './yaml-body.ts';

/** As kube-apiserver's limit on resource requests. */
export const maxBodyBytes = 3 * 1024 * 1024;
/** For a body that comes at all: a slow sender must not hold a place for ever. */
const bodyTimeoutMs = 60_000;

/** Throws RequestEntityTooLarge as soon as the bound is passed, Timeout when the sender dawdles, BadRequest when it leaves. */
export function readBody(request: IncomingMessage, clock: Clock): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return Promise.reject(tooLarge());
  const done = new AbortController();
  const late = clock.sleep(bodyTimeoutMs, done.signal).then(() => {
    throw new SampanError('Timeout', `the request's body did not arrive within ${bodyTimeoutMs / 1000} s`);
  });
  late.catch(() => {});
  return Promise.race([collect(request), late]).finally(() => done.abort());
}

/** By events rather than iteration, which would destroy the socket under the answer to a refused body. */
function collect(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBodyBytes) return void chunks.push(chunk);
      // The rest is for whoever answers: see read-away.ts.
      request.off('data', take);
      request.pause();
      reject(tooLarge());
    };
    request.on('data', take);
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', (error) => reject(badRequest(`the request's body broke off: ${error.message}`)));
    request.on('close', () => reject(badRequest("the request's body broke off")));
  });
}

function tooLarge(): SampanError {
  return new SampanError('RequestEntityTooLarge', `Request entity too large: limit is ${maxBodyBytes}`);
}

/** `application/json` of `application/json; charset=utf-8`. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Throws UnsupportedMediaType for anything but JSON, YAML and Kubernetes' protobuf. */
export async function parseBody(body: Buffer, type: string): Promise<unknown> {
  switch (type) {
    case '':
    case 'application/json':
      return parseText(body, parseJson, 'json');
    case 'application/yaml':
    case 'application/x-yaml':
    case 'text/yaml':
      return parseText(body, parseOneYaml, 'yaml');
    case protobufType:
      return decodeProtobuf(body);
    default:
      throw unsupportedType();
  }
}

function unsupportedType(): SampanError {
  const accepted = `application/json, application/yaml, ${protobufType}`;
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`;
  return new SampanError('UnsupportedMediaType', message);
}

function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  noteDoubledFields(value, text);
  return value;
}

async function parseText(body: Buffer, parse: (text: string) => unknown, format: string): Promise<unknown> {
  let value: unknown;
  try {
    value = await parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof SampanError) throw error;
    throw badRequest(`couldn't get version/kind; ${format} parse error: ${(error as Error).message}`);
  }
  checkDepth(value);
  return value;
}
