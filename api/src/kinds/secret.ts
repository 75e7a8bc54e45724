/** Secret: up to 1 MiB of named bytes, of a type that may ask for certain keys. */
import type { Secret } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { invalid, required, tooLong } from '../field-errors.ts';
import { configKeyProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { base64Length, maxDataBytes, validateStillImmutable } from './config-map.ts';
import { defineKind } from './define.ts';
import { validateImmutable } from './metadata.ts';

export const secretKind = defineKind<Secret>({
  ref: resources.secrets,
  kind: 'Secret',
  selectableFields: { type: (secret) => secret.type ?? '' },
  columns: [nameColumn, column('Type', 'What the Secret is for.'), column('Data', 'Number of entries.'), ageColumn],
  row: (secret, nowMs) => [
    nameCell(secret),
    secret.type ?? '',
    Object.keys(secret.data ?? {}).length,
    ageCell(secret, nowMs),
  ],
  defaults(secret) {
    secret.type ||= 'Opaque';
    // stringData is write-only: what it holds is data, in a form that is easier to type.
    for (const [key, text] of Object.entries(secret.stringData ?? {})) {
      secret.data = { ...secret.data, [key]: toBase64(text) };
    }
    delete secret.stringData;
  },
  validate,
  validateUpdate: (secret, old) => [
    ...validateImmutable(secret.type, old.type, 'type'),
    ...validateStillImmutable(secret, old, ['data']),
    ...validate(secret),
  ],
});

function validate(secret: Secret): Cause[] {
  const causes: Cause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(secret.data ?? {})) {
    causes.push(...configKeyProblems(key).map((problem) => invalid(`data[${key}]`, key, problem)));
    bytes += base64Length(value);
  }
  if (bytes > maxDataBytes) causes.push(tooLong('data', maxDataBytes));
  const { type = '' } = secret;
  // A type is the client's word: "constructor" must not find what every object inherits.
  const rule = Object.hasOwn(typeRules, type) ? typeRules[type] : undefined;
  return [...causes, ...(rule?.(secret) ?? [])];
}

const accountAnnotation = 'kubernetes.io/service-account.name';

/** What each type asks for; types not listed ask for nothing. */
const typeRules: Record<string, (secret: Secret) => Cause[]> = {
  'kubernetes.io/service-account-token': (secret) =>
    secret.metadata?.annotations?.[accountAnnotation] ? [] : [required(`metadata.annotations[${accountAnnotation}]`)],
  'kubernetes.io/dockercfg': (secret) => requireJson(secret, '.dockercfg'),
  'kubernetes.io/dockerconfigjson': (secret) => requireJson(secret, '.dockerconfigjson'),
  'kubernetes.io/basic-auth': (secret) =>
    has(secret, 'username') || has(secret, 'password') ? [] : [required('data[username]'), required('data[password]')],
  'kubernetes.io/ssh-auth': (secret) =>
    (secret.data?.['ssh-privatekey'] ?? '') === '' ? [required('data[ssh-privatekey]')] : [],
  'kubernetes.io/tls': (secret) =>
    ['tls.crt', 'tls.key'].filter((key) => !has(secret, key)).map((key) => required(`data[${key}]`)),
};

const has = (secret: Secret, key: string) => secret.data?.[key] !== undefined;

function requireJson(secret: Secret, key: string): Cause[] {
  const value = secret.data?.[key];
  if (value === undefined) return [required(`data[${key}]`)];
  try {
    const parsed: unknown = JSON.parse(fromBase64(value));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return [];
    return [
      invalid(
        `data[${key}]`,
        '<secret contents redacted>',
        'json: cannot unmarshal into Go value of type map[string]interface {}',
      ),
    ];
  } catch {
    return [invalid(`data[${key}]`, '<secret contents redacted>', 'is not valid JSON')];
  }
}

function toBase64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
}

function fromBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text.replace(/[\r\n]/g, '')), (char) => char.charCodeAt(0)));
}
