import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isReason } from '../errors.ts';
import { parseFieldSelector } from './field-selector.ts';
import { fromLabelSelectorObject, matchesLabels, parseLabelSelector } from './label-selector.ts';

const matches = (text: string, labels: Record<string, string>) => matchesLabels(parseLabelSelector(text), labels);

describe('label selectors', () => {
  const cases: [string, Record<string, string>, boolean][] = [
    ['', { a: 'b' }, true],
    ['a=b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a=b', {}, false],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: '' }, false],
    ['a=', { a: '' }, true],
    ['a=,b', { a: '', b: 'x' }, true],
    ['a in (b, c)', { a: 'c' }, true],
    ['a in (b,c)', {}, false],
    ['a notin (b,c)', {}, true],
    ['a notin (b,c)', { a: 'b' }, false],
    ['a in (,b)', { a: '' }, true],
    ['a in ()', { a: '' }, true],
    ['in in (notin)', { in: 'notin' }, true],
    ['a>1', { a: '10' }, true],
    ['a<1', { a: '10' }, false],
    ['a>1', { a: 'x' }, false],
    ['example.com/a=b , c in (d) ,!e', { 'example.com/a': 'b', c: 'd' }, true],
    ['toString', {}, false],
  ];
  for (const [text, labels, wanted] of cases) {
    it(`"${text}" ${wanted ? 'matches' : 'does not match'} ${JSON.stringify(labels)}`, () => {
      assert.equal(matches(text, labels), wanted);
    });
  }

  it('refuses what it cannot read', () => {
    for (const text of [
      'a b',
      ',',
      'a,',
      '=b',
      'a in b',
      'a in (b',
      'a=b=c',
      'a>x',
      '!',
      'a/b/c=d',
      'a=b!',
      '-a',
      `${'x'.repeat(64)}=y`,
      'a=b c',
    ]) {
      assert.throws(
        () => parseLabelSelector(text),
        (error) => isReason(error, 'BadRequest'),
        text,
      );
    }
  });

  it('reads LabelSelector objects', () => {
    const requirements = fromLabelSelectorObject({
      matchLabels: { a: 'b' },
      matchExpressions: [
        { key: 'c', operator: 'NotIn', values: ['d'] },
        { key: 'e', operator: 'Exists' },
      ],
    });
    assert.equal(matchesLabels(requirements, { a: 'b', e: '' }), true);
    assert.equal(matchesLabels(requirements, { a: 'b', e: '', c: 'd' }), false);
    assert.throws(
      () => fromLabelSelectorObject({ matchExpressions: [{ key: 'a', operator: 'Near' }] }),
      /valid label selector/,
    );
    assert.throws(
      () => fromLabelSelectorObject({ matchExpressions: [{ key: 'a', operator: 'In' }] }),
      /can't be empty/,
    );
  });
});

describe('field selectors', () => {
  it('reads terms', () => {
    const terms = parseFieldSelector('spec.nodeName=n1,status.phase!=Running,metadata.name==x');
    assert.deepEqual(terms, [
      { field: 'spec.nodeName', operator: '=', value: 'n1' },
      { field: 'status.phase', operator: '!=', value: 'Running' },
      { field: 'metadata.name', operator: '=', value: 'x' },
    ]);
  });

  it('reads empty values and escapes', () => {
    assert.deepEqual(parseFieldSelector(''), []);
    assert.deepEqual(parseFieldSelector('spec.nodeName='), [{ field: 'spec.nodeName', operator: '=', value: '' }]);
    assert.equal(parseFieldSelector('a=b\\,c\\=d\\\\')[0]?.value, 'b,c=d\\');
  });

  it('refuses what it cannot read', () => {
    for (const text of ['a', 'a=b=c', '=b', 'a=\\x', 'a=b\\']) {
      assert.throws(
        () => parseFieldSelector(text),
        (error) => isReason(error, 'BadRequest'),
        text,
      );
    }
  });
});
