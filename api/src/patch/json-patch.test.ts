import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isReason } from '../errors.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';

describe('JSON patch', () => {
  const cases: [string, unknown, object[], unknown][] = [
    ['adds a member', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['adds before an index', { a: [1, 2] }, [{ op: 'add', path: '/a/1', value: 9 }], { a: [1, 9, 2] }],
    ['adds at the end with -', { a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
    ['adds at the length', { a: [1] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2] }],
    ['replaces an existing member by adding', { a: 1 }, [{ op: 'add', path: '/a', value: null }], { a: null }],
    ['replaces the whole document', { a: 1 }, [{ op: 'add', path: '', value: [1] }], [1]],
    ['removes', { a: { b: 1, c: 2 } }, [{ op: 'remove', path: '/a/b' }], { a: { c: 2 } }],
    ['removes from a list', [1, 2, 3], [{ op: 'remove', path: '/1' }], [1, 3]],
    ['replaces', { a: [1, 2] }, [{ op: 'replace', path: '/a/0', value: { x: 1 } }], { a: [{ x: 1 }, 2] }],
    ['replaces what is not there', { a: {} }, [{ op: 'replace', path: '/a/b', value: 1 }], { a: { b: 1 } }],
    ['moves', { a: { b: 1 } }, [{ op: 'move', from: '/a/b', path: '/c' }], { a: {}, c: 1 }],
    ['moves within a list', [1, 2, 3], [{ op: 'move', from: '/0', path: '/2' }], [2, 3, 1]],
    ['copies', { a: { b: [1] } }, [{ op: 'copy', from: '/a/b', path: '/c' }], { a: { b: [1] }, c: [1] }],
    [
      'reads ~1 and ~0',
      { 'a/b': 1, 'm~n': 2 },
      [
        { op: 'remove', path: '/a~1b' },
        { op: 'replace', path: '/m~0n', value: 3 },
      ],
      { 'm~n': 3 },
    ],
    ['reads an empty name', { '': 1 }, [{ op: 'replace', path: '/', value: 2 }], { '': 2 }],
    ['reads ~01 as ~1', { '~1': 1 }, [{ op: 'remove', path: '/~01' }], {}],
    [
      'tests numbers, strings and objects whatever their order',
      { a: { x: 1, y: [2] } },
      [{ op: 'test', path: '/a', value: { y: [2], x: 1 } }],
      { a: { x: 1, y: [2] } },
    ],
    [
      'makes a plain member of __proto__',
      {},
      [{ op: 'add', path: '/__proto__', value: 1 }],
      JSON.parse('{"__proto__":1}'),
    ],
  ];
  for (const [name, document, patch, wanted] of cases) {
    it(name, () => {
      const copy = structuredClone(document);
      assert.deepEqual(applyJsonPatch(document, patch), wanted);
      assert.deepEqual(document, copy);
    });
  }

  it('does not let copies share parts', () => {
    const after = applyJsonPatch<unknown>({ a: [1] }, [
      { op: 'copy', from: '/a', path: '/b' },
      { op: 'add', path: '/b/-', value: 2 },
    ]);
    assert.deepEqual(after, { a: [1], b: [1, 2] });
  });

  it('refuses what does not fit the document', () => {
    const misfits: object[][] = [
      [{ op: 'remove', path: '/x' }],
      [{ op: 'replace', path: '/x/y', value: 1 }],
      [{ op: 'add', path: '/x/y', value: 1 }],
      [{ op: 'add', path: '/a/3', value: 1 }],
      [{ op: 'add', path: '/a/01', value: 1 }],
      [{ op: 'remove', path: '/a/-' }],
      [{ op: 'test', path: '/a', value: [1] }],
      [{ op: 'test', path: '/a/0', value: '1' }],
      [{ op: 'move', from: '/o', path: '/o/x' }],
      [{ op: 'remove', path: '/o/constructor' }],
    ];
    for (const patch of misfits) {
      assert.throws(
        () => applyJsonPatch({ a: [1, 2], o: {} }, patch),
        (error) => isReason(error, 'Invalid'),
        JSON.stringify(patch),
      );
    }
  });

  it('refuses what is no patch', () => {
    const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '', value: {} }));
    assert.throws(
      () => applyJsonPatch({}, many),
      (error) => isReason(error, 'RequestEntityTooLarge'),
    );
    const malformed = [
      {},
      [1],
      [{ op: 'spam', path: '/a' }],
      [{ op: 'add', path: 'a', value: 1 }],
      [{ op: 'add', path: '/a' }],
      [{ op: 'move', path: '/a' }],
      [{ op: 'toString', path: '/a' }],
      [{ op: 'remove', path: '/~2' }],
    ];
    for (const patch of malformed) {
      assert.throws(
        () => applyJsonPatch({ a: 1 }, patch),
        (error) => isReason(error, 'BadRequest'),
        JSON.stringify(patch),
      );
    }
  });
});

describe('merge patch', () => {
  // The table of RFC 7386, appendix A.
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [document, patch, wanted] of cases) {
    it(`turns ${JSON.stringify(document)} with ${JSON.stringify(patch)} into ${JSON.stringify(wanted)}`, () => {
      assert.deepEqual(applyMergePatch<unknown>(document, patch), wanted);
    });
  }
});

describe('a hostile JSON patch', () => {
  const refused = (patch: object[], reason: string, document: object = { a: 'x'.repeat(1000), list: [] }) =>
    assert.throws(
      () => applyJsonPatch(document, patch),
      (error) => (error as { reason?: string }).reason === reason,
    );

  it('that copies copies is refused before it has grown', () => {
    const bomb = Array.from({ length: 60 }, (_, i) => ({ op: 'copy', from: '', path: `/b${i}` }));
    const started = performance.now();
    refused(bomb, 'RequestEntityTooLarge');
    assert.ok(performance.now() - started < 1000);
  });

  it('that nests without end is refused', () => {
    refused([{ op: 'add', path: `${'/a'.repeat(200)}`, value: 1 }], 'BadRequest');
  });

  it('that moves a long list again and again is refused', () => {
    const list = Array.from({ length: 100_000 }, () => 0);
    const patch = Array.from({ length: 10_000 }, () => ({ op: 'add', path: '/list/0', value: 1 }));
    refused(patch, 'RequestEntityTooLarge', { list });
  });
});
