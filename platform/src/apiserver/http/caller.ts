/** Query parameters of writes, lists and deletes, checked. */
import type { IncomingMessage } from 'node:http';
import type { DeleteOptions } from '@sampan/api/client.ts';
import { badRequest, invalid } from '../meta/failures.ts';
import type { IncludeObject } from '../meta/present.ts';
import type { Caller, FieldValidation } from '../verbs/context.ts';
import { deleteOptionsFrom, olderPolicy } from '../verbs/delete-options.ts';
import type { ListQuery } from '../verbs/list-options.ts';
import type { Exchange } from './exchange.ts';
import { isTrue } from './request-info.ts';

const maxManagerBytes = 128;

/** What the query of a write is called (meta/v1). */
const optionsKinds: Record<string, string> = {
  POST: 'CreateOptions',
  PUT: 'UpdateOptions',
  PATCH: 'PatchOptions',
  DELETE: 'DeleteOptions',
};

/** Throws Invalid for options Kubernetes would not take either. */
export function callerOf(exchange: Exchange): Caller {
  const { query, user, request, warnings, notes } = exchange;
  const kind = optionsKinds[request.method ?? ''] ?? 'UpdateOptions';
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (!['Strict', 'Warn', 'Ignore'].includes(fieldValidation)) {
    throw optionError(
      'fieldValidation',
      `Unsupported value: "${fieldValidation}": supported values: "", "Ignore", "Strict", "Warn"`,
      'FieldValueNotSupported',
      kind,
    );
  }
  const fieldManager = query.get('fieldManager') ?? '';
  if (Buffer.byteLength(fieldManager) > maxManagerBytes) {
    const message = `Too long: may not be more than ${maxManagerBytes} bytes`;
    throw optionError('fieldManager', message, 'FieldValueTooLong', kind);
  }
  if (/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(fieldManager)) {
    const message = `Invalid value: ${JSON.stringify(fieldManager)}: must be printable`;
    throw optionError('fieldManager', message, 'FieldValueInvalid', kind);
  }
  return {
    user,
    dryRun: isDryRun(query.getAll('dryRun'), kind),
    fieldManager: fieldManager || managerFrom(request),
    fieldValidation: fieldValidation as FieldValidation,
    warn: (text) => warnings.add(text),
    note: (key, value) => notes.set(key, value),
  };
}

/** Of a PATCH that is no apply. Throws Invalid for `force`, which only an apply has. */
export function patcherOf(exchange: Exchange): Caller {
  if (exchange.query.has('force')) {
    const message = 'Forbidden: may not be specified for non-apply patch';
    throw optionError('force', message, 'FieldValueForbidden', 'PatchOptions');
  }
  return callerOf(exchange);
}

/** Of a server-side apply. Throws Invalid without a fieldManager: nobody applies by accident. */
export function applierOf(exchange: Exchange): { caller: Caller; force: boolean } {
  const { query } = exchange;
  if (!query.get('fieldManager')) {
    const message = 'Required value: is required for apply patch';
    throw optionError('fieldManager', message, 'FieldValueRequired', 'PatchOptions');
  }
  return { caller: callerOf(exchange), force: isTrue(query.get('force')) };
}

function isDryRun(values: string[], kind: string): boolean {
  const asked = values.filter((value) => value !== '');
  if (asked.some((value) => value !== 'All')) {
    const message = `Unsupported value: []string{${asked.map((value) => JSON.stringify(value)).join(', ')}}: supported values: "All"`;
    throw optionError('dryRun', message, 'FieldValueNotSupported', kind);
  }
  return asked.length > 0;
}

/** As apiserver's managerOrUserAgent: the part of the User-Agent before the first slash. */
function managerFrom(request: IncomingMessage): string {
  return (request.headers['user-agent'] ?? '').split('/')[0]?.slice(0, maxManagerBytes) || 'unknown';
}

function optionError(field: string, message: string, reason: string, kind: string) {
  return invalid({ group: 'meta.k8s.io', kind }, '', [{ reason, message, field }]);
}

export function listQueryOf(query: URLSearchParams, namespace: string | undefined, name: string): ListQuery {
  const text = (key: string) => query.get(key) || undefined;
  const flag = (key: string) => (query.has(key) ? isTrue(query.get(key)) : undefined);
  const byName = name ? `metadata.name=${name}` : undefined;
  const asked = text('fieldSelector');
  return {
    namespace,
    labelSelector: text('labelSelector'),
    fieldSelector: byName && asked ? `${byName},${asked}` : (byName ?? asked),
    limit: wholeNumber(query, 'limit'),
    continue: text('continue'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
    sendInitialEvents: flag('sendInitialEvents'),
    allowWatchBookmarks: flag('allowWatchBookmarks'),
    timeoutSeconds: wholeNumber(query, 'timeoutSeconds'),
  };
}

function wholeNumber(query: URLSearchParams, key: string): number | undefined {
  const text = query.get(key);
  if (!text) return undefined;
  const number = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(number) || number < 0) {
    throw badRequest(`query parameter ${key}="${text}" must be a whole number`);
  }
  return number;
}

export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') || 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(`unrecognized includeObject value: "${value}"`);
}

/** DeleteOptions of the body, overruled by the query's. */
export function deleteOptionsOf(query: URLSearchParams, body: unknown): DeleteOptions & { dryRun: boolean } {
  const given = deleteOptionsFrom(body ?? {});
  const gracePeriodSeconds = wholeNumber(query, 'gracePeriodSeconds');
  // The older way to say it, which clients of many years still have.
  const orphans = query.has('orphanDependents') ? isTrue(query.get('orphanDependents')) : undefined;
  const policy = query.get('propagationPolicy') || olderPolicy(orphans);
  return {
    ...given,
    ...(gracePeriodSeconds !== undefined ? { gracePeriodSeconds } : {}),
    ...(policy ? { propagationPolicy: policy as DeleteOptions['propagationPolicy'] } : {}),
  };
}
