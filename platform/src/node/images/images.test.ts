import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Secret } from 'kubernetes-types/core/v1.js';
import { parseImageName } from './image-name.ts';
import { credentialsFor } from './pull-secrets.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('names of images', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const good: [string, string, string][] = [
    ['nginx', 'docker.io', 'library/nginx'],
    ['nginx:1.25', 'docker.io', 'library/nginx'],
    ['bitnami/redis', 'docker.io', 'bitnami/redis'],
    ['docker.io/nginx', 'docker.io', 'library/nginx'],
    ['localhost/demo:1', 'localhost', 'demo'],
    ['localhost:5000/a/b/c:x', 'localhost:5000', 'a/b/c'],
    ['registry.example.com/team/app', 'registry.example.com', 'team/app'],
    [`quay.io/x/y@${digest}`, 'quay.io', 'x/y'],
    [`quay.io/x/y:1@${digest}`, 'quay.io', 'x/y'],
    ['[::1]:5000/x', '[::1]:5000', 'x'],
  ];
  for (const [name, registry, repository] of good)
    test(`${name} is of ${registry}`, () => {
      const parsed = parseImageName(name);
      assert.deepEqual([parsed?.registry, parsed?.repository], [registry, repository]);
    });
  for (const name of [
    '',
    'Nginx',
    'a b',
    'x:',
    'x@sha256:short',
    '/x',
    'x//y',
    'http://x/y',
    'x:tag:tag',
    `${'a/'.repeat(300)}b`,
  ])
    test(`"${name.slice(0, 20)}" is none`, () => assert.equal(parseImageName(name), undefined));
});

describe('pull secrets', () => {
  const json = (auths: object): Secret => ({
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': base64(JSON.stringify({ auths })) },
  });
  const users = (image: string, ...secrets: Secret[]) =>
    credentialsFor(parseImageName(image)!, secrets).map(({ username }) => username);
  const as = (username: string) => ({ username, password: 'x' });

  test('fit by registry, port and path; the most specific comes first', () => {
    const secret = json({
      'reg.io': as('any'),
      'reg.io/team': as('team'),
      'reg.io:5000': as('port'),
      'other.io': as('other'),
    });
    assert.deepEqual(users('reg.io/team/app', secret), ['team', 'any']);
    assert.deepEqual(users('reg.io/teams/app', secret), ['any']);
    assert.deepEqual(users('reg.io:5000/app', secret), ['port']);
  });

  test('may have * for a part of a host', () => {
    const secret = json({ '*.reg.io': as('star') });
    assert.deepEqual(users('a.reg.io/x', secret), ['star']);
    assert.deepEqual(users('a.b.reg.io/x', secret), []);
    assert.deepEqual(users('reg.io/x', secret), []);
  });

  test('of Docker Hub are known by its old address', () => {
    assert.deepEqual(users('nginx', json({ 'https://index.docker.io/v1/': as('hub') })), ['hub']);
    assert.deepEqual(users('reg.io/nginx', json({ 'https://index.docker.io/v1/': as('hub') })), []);
  });

  test('may be joined in auth, or stand in the old form', () => {
    const old: Secret = {
      type: 'kubernetes.io/dockercfg',
      data: { '.dockercfg': base64(JSON.stringify({ 'reg.io': { auth: base64('me:pass:word') } })) },
    };
    const [auth] = credentialsFor(parseImageName('reg.io/x')!, [old]);
    assert.deepEqual([auth?.username, auth?.password], ['me', 'pass:word']);
  });

  test('that cannot be read are no credentials and no error', () => {
    const broken: Secret = {
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': base64('{"auths": 5') },
    };
    assert.deepEqual(users('reg.io/x', broken, { type: 'Opaque' }), []);
  });
});
