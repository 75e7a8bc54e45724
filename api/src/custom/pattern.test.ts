import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compilePattern } from './pattern.ts';

describe('a pattern', () => {
  const cases: [string, string[], string[]][] = [
    ['^[a-z]{2,3}$', ['ab', 'abc'], ['a', 'abcd', 'aB']],
    ['b+', ['abc', 'b'], ['', 'ac']],
    ['^(foo|ba[rz])*$', ['', 'foobarbaz'], ['fo', 'bax']],
    ['^\\d+(\\.\\d+)?$', ['1', '1.5'], ['1.', '.5', 'x']],
    ['^\\w[\\w-.]*$', ['a-b.c'], ['-a', 'a b']],
    ['^[^/]+/[[:alnum:]]+$', ['a.b/C1'], ['/x', 'a/-']],
    ['(?i)^yes$', ['YES', 'yes'], ['yess']],
    ['^(?:a(?i:b)c)$', ['abc', 'aBc'], ['Abc', 'aBC']],
    ['^.$', ['ü', '😀'], ['\n', 'ab']],
    ['^\\p{Lu}\\pL*$', ['Äpfel'], ['äpfel']],
    ['\\bcat\\b', ['a cat sat'], ['concat']],
    ['^a{0,2}?b??$', ['', 'aab'], ['aaa']],
    ['^(((a?){3}){2})$', ['aaaaaa', ''], ['aaaaaaa']],
    ['^[]a-]+$', [']-a'], ['b']],
    ['a{,2}', ['a{,2}'], ['aa']],
    ['^\\x41\\x{1F600}\\.$', ['A😀.'], ['A😀x']],
    ['(){1000}', [''], []],
  ];
  for (const [pattern, good, bad] of cases) {
    it(`${pattern} is found where it is, and only there`, () => {
      const matches = compilePattern(pattern);
      for (const value of good) assert.ok(matches(value), `matches ${JSON.stringify(value)}`);
      for (const value of bad) assert.ok(!matches(value), `does not match ${JSON.stringify(value)}`);
    });
  }

  it('that RE2 does not know is refused', () => {
    for (const pattern of [
      '(?=a)',
      '(a)\\1',
      '(',
      ')',
      '[a',
      'a**',
      '*a',
      'a{2,1}',
      '\\q',
      '[b-a]',
      '(?<!a)b',
      'a{1001}',
    ]) {
      assert.throws(() => compilePattern(pattern), SyntaxError, pattern);
    }
  });

  it('that would backtrack for ever takes time linear in the value', () => {
    const started = performance.now();
    assert.equal(compilePattern('^(a+)+$')(`${'a'.repeat(20_000)}!`), false);
    assert.equal(compilePattern('^(a|a)*(a|a)*b$')('a'.repeat(20_000)), false);
    assert.ok(performance.now() - started < 2000);
  });

  it('that stands for a huge program is refused', () => {
    assert.throws(() => compilePattern('((a{1000}){1000}){1000}'), /too large/);
    assert.throws(() => compilePattern(`${'('.repeat(200)}a${')'.repeat(200)}`), /nested/);
  });
});
