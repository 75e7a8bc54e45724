import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doubledFields, doubledFieldsOf, noteDoubledFields } from './doubled-fields.ts';

test('a field that stands twice in one object is found by its path, and only such', () => {
  const text = '{"a":1,"b":{"a":"{\\"a\\":1}","c":[{"d":1},{"d":1, "d":2}]},"\\u0061":3,"e":[[{"x":":","x":1}]]}';
  assert.deepEqual(doubledFields(text), ['b.c[1].d', 'a', 'e[0][0].x']);
  assert.deepEqual(doubledFields('{"a":{"x":1},"b":{"x":1},"c":["x","x"]}'), []);
});

test('what was found is remembered with the body, however it is laid out', () => {
  for (const text of ['{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}\n']) {
    const body = JSON.parse(text);
    noteDoubledFields(body, text);
    assert.deepEqual(doubledFieldsOf(body), ['a']);
  }
});
