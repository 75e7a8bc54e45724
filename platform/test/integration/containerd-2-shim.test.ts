/** containerd 2 runs tasks through containerd-shim-sampan-v2, by the task API of version 3. */
import { taskTests } from './containerd-tasks.ts';
import { buildContainerd2 } from './support/containerd-2.ts';

taskTests(buildContainerd2);
