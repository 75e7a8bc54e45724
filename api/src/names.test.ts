import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  configKeyProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  envNameProblems,
  labelValueProblems,
  portNameProblems,
  qualifiedNameProblems,
} from './names.ts';

const rules: [string, (name: string) => string[], string[], string[]][] = [
  [
    'DNS labels',
    dnsLabelProblems,
    ['a', 'a-b', '0', 'a'.repeat(63)],
    ['', 'A', '-a', 'a-', 'a.b', 'a_b', 'a'.repeat(64), 'ä', 'a\n'],
  ],
  [
    'DNS subdomains',
    dnsSubdomainProblems,
    ['a', 'a.b', '1.2', `${'a.'.repeat(126)}a`],
    ['', '.', 'a..b', 'a.', 'A.b', 'a'.repeat(254)],
  ],
  [
    'qualified names',
    qualifiedNameProblems,
    ['a', 'A_b.c-d', 'example.com/a', '1'],
    ['', '/', 'a/', '/a', 'a/b/c', 'a b', '-a', 'E.com/a', 'a'.repeat(64)],
  ],
  ['label values', labelValueProblems, ['', 'a', 'A_b.c-1', 'a'.repeat(63)], ['-', 'a-', 'a b', 'a/b', 'a'.repeat(64)]],
  [
    'config keys',
    configKeyProblems,
    ['a', 'A_.-', '.hidden', 'a..b'],
    ['', '.', '..', '..a', 'a/b', 'a b', 'a'.repeat(254)],
  ],
  ['variable names', envNameProblems, ['A', 'a.b-c', '1A', 'a b'], ['', 'a=b', 'ä', 'a\n']],
  ['port names', portNameProblems, ['http', 'a1', 'x-1'], ['', '80', 'a--b', '-a', 'a-', 'Http', 'a'.repeat(16)]],
];

describe('names', () => {
  for (const [what, problems, good, bad] of rules) {
    it(`accepts good ${what} and explains bad ones`, () => {
      for (const name of good) assert.deepEqual(problems(name), [], name);
      for (const name of bad) assert.ok(problems(name).length > 0, JSON.stringify(name));
    });
  }

  it('speaks as Kubernetes does', () => {
    assert.deepEqual(dnsLabelProblems('A'), [
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ]);
    assert.deepEqual(dnsLabelProblems('a.b'), ['must not contain dots']);
    assert.deepEqual(dnsLabelProblems('a'.repeat(64)), ['must be no more than 63 characters']);
  });
});
