/** `npm run kubelet`: builds kubelet when it is not there, and runs the tests that put it over `sampan cri`. */
import { join } from 'node:path';
import { goProgram } from './go-programs.ts';
import { runTo } from './run-to.ts';

await goProgram('kubelet');
const root = join(import.meta.dirname, '../..');
const file = 'platform/test/integration/kubelet.test.ts';
process.exitCode = await runTo([process.execPath, 'cli/src/main.ts', 'test', file], { cwd: root });
