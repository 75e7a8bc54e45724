import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseChallenges } from './challenge.ts';

it('reads the challenges registries send', () => {
  assert.deepEqual(
    parseChallenges(
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    ),
    [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      },
    ],
  );
  assert.deepEqual(parseChallenges('Basic realm="say \\"hi\\""'), [
    { scheme: 'basic', parameters: { realm: 'say "hi"' } },
  ]);
  assert.deepEqual(parseChallenges('Negotiate, Basic realm=x, Bearer realm="y"'), [
    { scheme: 'negotiate', parameters: {} },
    { scheme: 'basic', parameters: { realm: 'x' } },
    { scheme: 'bearer', parameters: { realm: 'y' } },
  ]);
});

it('makes what it can of nonsense and always ends', () => {
  for (const text of ['', '=', '"', 'a="', 'Bearer realm="unclosed', ',,,', 'x'.repeat(10_000)]) parseChallenges(text);
  assert.deepEqual(parseChallenges('Bearer realm="unclosed'), [{ scheme: 'bearer', parameters: {} }]);
});
