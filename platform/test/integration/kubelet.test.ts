/**
 * A real kubelet (Kubernetes' own, built from its Go module) over `./sampan cri`: alone with static Pods, and as a node of our API server. Runs itself again
 * in a mount namespace of its own, since kubelet mounts volumes and sets kernel settings.
 */
import { describe, test } from 'node:test';
import { alone } from './kubelet-alone.ts';
import { asNode } from './kubelet-node.ts';
import { missingForKubelet } from './support/kubelet-world.ts';
import { testInside } from './support/own-namespaces.ts';

testInside(
  'a real kubelet over sampan cri, in a mount namespace of its own',
  {
    file: import.meta.filename,
    namespaces: ['mount'],
    timeoutMs: 500_000,
    obstacle: missingForKubelet,
    tells: /^.*ℹ .*(ms|MiB).*$/gm,
  },
  () =>
    describe('kubelet', () => {
      test('alone, with static Pods', alone);
      test('as a node of our API server, with Pods of both runtime classes', asNode);
    }),
);
