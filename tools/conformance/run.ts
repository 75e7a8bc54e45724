/**
 * npm run conformance: builds Kubernetes' end-to-end test binary from Go modules (once; it stays in the user's cache), runs the
 * conformance tests that need no machines against our API server, and writes docs/conformance.md. Exits 1 when a test that passed
 * before no longer does. `--minutes N` bounds the run (default 20), `--focus TEXT` runs what matches and leaves the page alone.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { startClientsLab } from '../../platform/test/integration/clients-lab.ts';
import { readJunit, readPassed, writePage } from './report.ts';
import { excluded } from './scope.ts';

const version = 'v1.33.4';
const page = join(import.meta.dirname, '../../docs/conformance.md');
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sampan-test/bin');
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '20' }, focus: { type: 'string' } },
});

async function run(
  command: string,
  args: string[],
  quiet = false,
  cwd?: string,
): Promise<{ code: number; stdout: string }> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', quiet ? 'ignore' : 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    if (quiet) stdout += chunk;
    else process.stdout.write(chunk);
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => resolve(exit ?? -1));
  });
  return { code, stdout };
}

async function build(): Promise<string> {
  const path = join(cache, `e2e-${version}.test`);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  console.log('building k8s.io/kubernetes/test/e2e; this takes several minutes, once');
  const fresh = `${path}.${process.pid}`;
  const args = ['-n', '19', 'go', 'test', '-c', '-ldflags', '-s -w', '-o', fresh, 'k8s.io/kubernetes/test/e2e'];
  const { code } = await run('nice', args, false, import.meta.dirname);
  if (code !== 0) throw new Error('the test binary does not build: see above');
  await rename(fresh, path);
  return path;
}

const binary = await build();
const { stdout } = await run(binary, ['--list-conformance-tests'], true);
const all = (parse(stdout) as { codename: string }[]).map(({ codename }) => codename);
const wanted = all.filter((name) => !excluded(name) && (!values.focus || name.includes(values.focus)));
console.log(`${wanted.length} of ${all.length} conformance tests`);

const reports = await mkdtemp(join(tmpdir(), 'sampan-conformance-'));
let outcomes: ReturnType<typeof readJunit>;
{
  await using lab = await startClientsLab({
    apiServer: { host: '10.64.0.1', port: 6443 },
    more: { serviceNetwork: { others: ['10.64.0.1'] } },
  });
  await run(binary, [
    `--kubeconfig=${lab.kubeconfig}`,
    '--provider=skeleton',
    '--minStartupPods=0',
    '--ginkgo.no-color',
    `--ginkgo.timeout=${values.minutes}m`,
    `--ginkgo.focus=(${wanted.map(escapeRegExp).join('|')})`,
    `--report-dir=${reports}`,
  ]);
  outcomes = readJunit(await readFile(join(reports, 'junit_01.xml'), 'utf8'));
}
await rm(reports, { recursive: true, force: true });

const before = existsSync(page) ? readPassed(await readFile(page, 'utf8')) : [];
const broken = before.filter((name) => outcomes.some((outcome) => outcome.name === name && !outcome.passed));
if (!values.focus) await writeFile(page, writePage(version, all, outcomes));
console.log(`${outcomes.filter(({ passed }) => passed).length} of ${outcomes.length} passed`);
for (const name of broken) console.error(`passed before, and now fails: ${name}`);
process.exit(broken.length > 0 ? 1 : 0);

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
