/**
 * Looks for races in one test file: `npm run unsteady -- FILE [--times N] [--seed N]`. Runs it in one process, each test again and again, while files answer late
 * and the process now and then stands still, as beside other work (disturb.ts). A failure that names nothing of another round is a race of the test or of the
 * product. Files whose tests stand on one another, or on one `before`, cannot be repeated so: `--times 1` only disturbs them.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const options = { times: { type: 'string', default: '60' }, seed: { type: 'string' } } as const;
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31));
const [file] = positionals;
if (!file || positionals.length > 1) throw new Error('usage: npm run unsteady -- FILE [--times N] [--seed N]');
process.stdout.write(`seed ${seed}\n`);
const disturbance = ['--import', join(import.meta.dirname, 'disturb.ts')];
const child = spawn(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', ...disturbance, '--test-timeout=120000', file],
  { stdio: 'inherit', env: { ...process.env, SAMPAN_TEST_TIMES: values.times, SAMPAN_TEST_SEED: seed } },
);
child.on('close', (code) => {
  process.exitCode = code ?? 1;
});
