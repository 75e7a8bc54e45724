import assert from 'node:assert/strict';
import { it } from 'node:test';
import { formatReference, imageIdPrefix, parseReference } from './reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

it('names are normalised as Docker does', () => {
  const cases: [string, string][] = [
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.25', 'docker.io/library/nginx:1.25'],
    ['team/tool', 'docker.io/team/tool:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/team/tool:1', 'docker.io/team/tool:1'],
    ['localhost/tool', 'localhost/tool:latest'],
    ['localhost:5000/tool', 'localhost:5000/tool:latest'],
    ['127.0.0.1:5000/a/b/c:v1', '127.0.0.1:5000/a/b/c:v1'],
    ['[::1]:5000/tool', '[::1]:5000/tool:latest'],
    ['quay.io/a/b_c/d-e.f', 'quay.io/a/b_c/d-e.f:latest'],
    [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
    [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`],
  ];
  for (const [text, wanted] of cases) assert.equal(formatReference(parseReference(text)), wanted, text);
});

it('a normalised name normalises to itself', () => {
  for (const text of ['nginx', 'localhost:1/x', `a/b@${digest}`]) {
    const once = formatReference(parseReference(text));
    assert.equal(formatReference(parseReference(once)), once);
  }
});

it('what Docker refuses is refused', () => {
  const bad = [
    '',
    'Nginx',
    'a//b',
    '/a',
    'a/',
    'a b',
    'a:',
    'a:-x',
    'a@sha256:abc',
    'a@md5:abc',
    'http://a/b',
    'a..b',
    'exa mple.com/a',
    '-.com/a',
    'a.b:x/c',
    '../a',
    `${'a'.repeat(256)}`,
  ];
  for (const text of bad) assert.throws(() => parseReference(text), { reason: 'Invalid' }, JSON.stringify(text));
});

it('ids are told from names by their length and digits', () => {
  assert.equal(imageIdPrefix('abcdef012345'), 'abcdef012345');
  assert.equal(imageIdPrefix(digest), 'a'.repeat(64));
  for (const text of ['abcdef01234', 'abcdef01234g', 'nginx', 'abcdef012345:1'])
    assert.equal(imageIdPrefix(text), undefined);
});
