import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { openApiV3 } from '@sampan/api/schema/open-api.ts';
import { openApiV2 } from './openapi-v2.ts';
import { encodeOpenApiV2 } from './openapi-v2-protobuf.ts';
import { schemaV2 } from './openapi-v2-schema.ts';
import { WireReader } from './wire-reader.ts';

const core = allKinds.filter(({ ref }) => ref.group === '');
const document = openApiV2([await openApiV3({ kinds: core })]);

test('references, required fields and extensions survive the way to version 2', () => {
  const pod = document.definitions['io.k8s.api.core.v1.Pod'];
  assert.equal(pod?.properties?.spec?.$ref, '#/definitions/io.k8s.api.core.v1.PodSpec');
  assert.deepEqual(pod?.['x-kubernetes-group-version-kind'], [{ group: '', version: 'v1', kind: 'Pod' }]);
  assert.deepEqual(document.definitions['io.k8s.api.core.v1.PodSpec']?.required, ['containers']);
  assert.equal(JSON.stringify(document).includes('#/components/'), false);
});

test('patching a Pod is said to take fieldValidation, which is what kubectl looks for', () => {
  const patch = document.paths['/api/v1/namespaces/{namespace}/pods/{name}']?.patch;
  assert.ok(patch?.parameters.some(({ name }) => name === 'fieldValidation'));
});

test('the protobuf form holds every path and definition', () => {
  const counts = new Map<number, number>();
  const reader = new WireReader(encodeOpenApiV2(document));
  for (let field = reader.next(); field; field = reader.next()) {
    const inner = new WireReader(field.bytes());
    let members = 0;
    if (field.number >= 8) while (inner.next()) members++;
    counts.set(field.number, members);
  }
  assert.equal(counts.get(8), Object.keys(document.paths).length);
  assert.equal(counts.get(9), Object.keys(document.definitions).length);
});

test('schemas of custom kinds keep their bounds, and lose what kubectl of that time would stumble over', () => {
  const gvk = { 'x-kubernetes-group-version-kind': [{ group: 'g', version: 'v1', kind: 'K' }] };
  const open = { 'x-kubernetes-preserve-unknown-fields': true } as const;
  const feeling = { type: 'string', enum: ['Great', 'Down'], default: 'Great', maxLength: 5 };
  const text = { type: 'string' };
  const shown = schemaV2({
    type: 'object',
    ...gvk,
    required: ['a', 'n'],
    properties: { a: feeling, n: { ...text, nullable: true } },
  });
  assert.deepEqual(shown, { type: 'object', ...gvk, required: ['a'], properties: { a: feeling, n: {} } });
  assert.deepEqual(schemaV2({ type: 'object', ...open, properties: { a: text } }), open);
  assert.deepEqual(schemaV2({ type: 'array', ...open, items: text }), open);
  assert.deepEqual(schemaV2({ type: 'object', description: 'words', ...gvk, ...open, properties: { a: text } }), {
    type: 'object',
    ...gvk,
  });
  const either = { type: 'object', anyOf: [{ required: ['a'] }], properties: { a: text } };
  assert.deepEqual(schemaV2(either), { type: 'object', properties: { a: text } });
});
