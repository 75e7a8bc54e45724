import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { representationOf } from './negotiate.ts';

test('without an Accept header the answer is JSON', () => {
  assert.deepEqual(representationOf(undefined), { format: 'json', as: 'Object', version: 'v1' });
});

test('kubectl get is given a Table', () => {
  const accept =
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';
  assert.deepEqual(representationOf(accept), { format: 'json', as: 'Table', version: 'v1' });
});

test('a client that prefers protobuf but takes JSON is given JSON', () => {
  assert.equal(representationOf('application/vnd.kubernetes.protobuf,application/json').format, 'json');
});

test('quality values order the choice', () => {
  assert.equal(representationOf('application/json;q=0.5, application/yaml').format, 'yaml');
  assert.equal(representationOf('application/yaml;q=0, */*').format, 'json');
});

test('a form nobody here can write is refused', () => {
  for (const accept of [
    'application/vnd.kubernetes.protobuf',
    'text/html',
    'application/json;as=Table;v=v2;g=meta.k8s.io',
  ]) {
    assert.throws(
      () => representationOf(accept),
      (error) => isReason(error, 'NotAcceptable'),
      accept,
    );
  }
});

test('what is no object of the API is shown as it is, or not at all', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  assert.equal(representationOf(`${table},application/json`, true).as, 'Object');
  assert.throws(
    () => representationOf(table, true),
    (error) => isReason(error, 'NotAcceptable'),
  );
});
