/** The CRI plugin of Debian's containerd 1.6 runs Pods through our shim. */
import { podTests } from './containerd-pods.ts';
import { debians } from './support/containerd-lab.ts';

podTests(async () => ({ programs: debians }), ['sampan', 'sampan-namespace']);
