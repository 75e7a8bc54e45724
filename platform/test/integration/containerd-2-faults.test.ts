/** Faults under containerd 2. */
import { faultTests } from './containerd-faults.ts';
import { buildContainerd2 } from './support/containerd-2.ts';

faultTests(buildContainerd2, { every: false });
