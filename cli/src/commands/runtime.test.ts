import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readyWords } from './runtime.ts';

test('a home of its own is named to containerd, and Podman is given a command that stands there', () => {
  const usual = readyWords('/cache/x/sampan-runtime', '/cache/x', { home: '/var/lib/sampan' });
  assert.match(usual, /podman --runtime \/cache\/x\/sampan-runtime run/);
  assert.doesNotMatch(usual, /SAMPAN_HOME/);
  const own = readyWords('/my home/sampan-runtime', '/cache/x', { home: '/my home' });
  assert.match(own, /podman --runtime '\/my home\/sampan-runtime' run/);
  assert.match(own, /SAMPAN_HOME=\/my home in containerd's environment/);
});
