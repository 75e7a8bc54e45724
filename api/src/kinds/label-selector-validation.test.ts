import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LabelSelectorObject } from '../selectors/label-selector.ts';
import { validateLabelSelector } from './label-selector-validation.ts';

const faults = (selector: object): string[] =>
  validateLabelSelector(selector as LabelSelectorObject, 's').map(({ field, message }) => `${field}: ${message}`);

test('what a requirement leaves out is told, and is no reason to fail', () => {
  const [first] = faults({ matchExpressions: [{ operator: 'Exists' }] });
  assert.equal(first, 's.matchExpressions[0].key: Invalid value: "": name part must be non-empty');
  assert.deepEqual(faults({ matchExpressions: [{ key: 'a' }] }), [
    's.matchExpressions[0].operator: Invalid value: "": not a valid selector operator',
  ]);
  assert.match(faults({ matchExpressions: [{ key: 'a', operator: 'In' }] })[0] ?? '', /values: Required value/);
  assert.deepEqual(faults({}), []);
});

test('keys and values are those of labels', () => {
  const found = faults({
    matchLabels: { 'a b': 'c d' },
    matchExpressions: [{ key: 'a', operator: 'In', values: ['$'] }],
  });
  assert.deepEqual(
    found.map((fault) => fault.split(': ')[0]),
    ['s.matchLabels', 's.matchLabels', 's.matchExpressions[0].values[0]'],
  );
});
