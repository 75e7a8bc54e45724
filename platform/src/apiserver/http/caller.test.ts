import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { systemUser } from '../auth/user.ts';
import { callerOf } from './caller.ts';
import type { Exchange } from './exchange.ts';

const callerWith = (query: string, method = 'PATCH') => {
  const request = { method, headers: { 'user-agent': 'kubectl/1.33' } } as IncomingMessage;
  const told = { warnings: new Set<string>(), notes: new Map<string, string>() };
  const sent = { request, query: new URLSearchParams(query), user: systemUser('x'), ...told };
  return callerOf(sent as unknown as Exchange);
};

test('an option that says nothing is as one that is not there', () => {
  const { fieldManager, fieldValidation, dryRun } = callerWith('fieldManager=&fieldValidation=&dryRun=');
  assert.deepEqual([fieldManager, fieldValidation, dryRun], ['kubectl', 'Warn', false]);
});

test('the name of a field manager is of any script, with its marks', () => {
  assert.equal(
    callerWith(`fieldManager=${encodeURIComponent('re\u0301sume\u0301 हिन्दी')}`).fieldManager,
    'résumé हिन्दी'.normalize('NFD'),
  );
});

test('what an option cannot be is refused in the name of the request’s own options', () => {
  for (const [method, kind] of [['POST', 'CreateOptions'], ['PUT', 'UpdateOptions'], ['PATCH', 'PatchOptions']]) // biome-ignore format: a table
    for (const query of [
      'fieldValidation=Loose',
      'dryRun=Some',
      `fieldManager=${'x'.repeat(129)}`,
      'fieldManager=a%07b',
    ]) {
      const [field] = query.split('=');
      const message = new RegExp(`^${kind}\\.meta\\.k8s\\.io "" is invalid: ${field}: `);
      assert.throws(() => callerWith(query, method), { reason: 'Invalid', message });
    }
});
