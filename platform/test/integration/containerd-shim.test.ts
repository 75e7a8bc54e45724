/** Debian's containerd 1.6 runs tasks through containerd-shim-sampan-v2. */
import { taskTests } from './containerd-tasks.ts';
import { debians } from './support/containerd-lab.ts';

taskTests(async () => ({ programs: debians }));
