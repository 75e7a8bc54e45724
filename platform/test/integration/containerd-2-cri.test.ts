/** The CRI plugin of containerd 2 runs Pods through our shim: with a pause container, and by the sandbox API without one. */
import { podTests } from './containerd-pods.ts';
import { buildContainerd2 } from './support/containerd-2.ts';

podTests(buildContainerd2, ['sampan', 'sampan-namespace', 'sampan-pod']);
