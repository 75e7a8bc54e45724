/** Faults under Debian's containerd 1.6. */
import { faultTests } from './containerd-faults.ts';
import { debians } from './support/containerd-lab.ts';

faultTests(async () => ({ programs: debians }), { every: true });
