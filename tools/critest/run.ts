/**
 * npm run critest: the unmodified critest (sigs.k8s.io/cri-tools, built once from its Go module) against a private `sampan cri`, whose images come from a
 * registry on loopback. Keeps the outcomes in results.json and writes docs/conformance-cri.md. Exits 1 when a spec that passed before no longer does.
 *
 *   --handler vm|namespace  (default: both)
 *   --focus REGEXP          only the specs whose name matches; several may be given
 *   --minutes N             the most a handler's specs may take (default 60)
 *   --logs DIRECTORY        keeps what critest and the server said
 *   --check                 writes neither results nor page, and fails too when nothing ran
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare } from '../../cli/src/commands/up.ts';
import { runtimePackages, testPackages } from '../../cli/src/setup/packages.ts';
import { CriLab } from '../../platform/test/integration/support/cri-lab.ts';
import { runTo } from '../conformance/run-to.ts';
import { criTool, criToolsVersion } from './go-programs.ts';
import { readOutcomes } from './junit.ts';
import { writeSection } from './page.ts';
import { enterMountNamespace, registryNames, serveRegistries } from './registries.ts';
import { broken, type Handler, type Results, type ResultsByHandler, readResults, writeResults } from './results.ts';

const { values } = parseArgs({
  options: {
    handler: { type: 'string', multiple: true, default: ['vm', 'namespace'] },
    focus: { type: 'string', multiple: true, default: [] },
    minutes: { type: 'string', default: '60' },
    logs: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
});

enterMountNamespace();
await prepare([...runtimePackages, ...testPackages]);
const critest = await criTool('critest');
const pagePath = join(import.meta.dirname, '../../docs/conformance-cri.md');
const logs = values.logs ?? (await mkdtemp(join(tmpdir(), 'sampan-critest-')));
await mkdir(logs, { recursive: true });
const lost: string[] = [];
{
  await using _registries = await serveRegistries();
  for (const handler of values.handler as Handler[]) await runUnder(handler);
}
if (!values.logs) await rm(logs, { recursive: true, force: true });
for (const name of lost) console.error(`passed before, and no longer does: ${name}`);
process.exit(lost.length > 0 ? 1 : 0);

async function runUnder(handler: Handler): Promise<void> {
  const outcomes = await outcomesUnder(handler);
  const before = await readResults();
  if (!values.check) await keep({ ...before, [handler]: { ...before[handler], ...outcomes } });
  else if (Object.keys(outcomes).length === 0) throw new Error('no spec has that name');
  lost.push(...broken(before[handler] ?? {}, outcomes).map((name) => `${name} (${handler})`));
  const all = Object.entries(outcomes);
  for (const [name, { outcome, message }] of all) if (outcome === 'failed') console.log(`failed: ${name}: ${message}`);
  console.log(`${handler}: ${all.filter(([, { outcome }]) => outcome === 'passed').length} of ${all.length} passed`);
}

async function keep(results: ResultsByHandler): Promise<void> {
  await writeResults(results);
  await writeFile(pagePath, writeSection(await readFile(pagePath, 'utf8'), criToolsVersion, results));
}

async function outcomesUnder(handler: Handler): Promise<Results> {
  process.env.SAMPAN_INSECURE_REGISTRIES = registryNames.join(',');
  await using lab = await CriLab.open('critest');
  const junit = join(logs, `${handler}.xml`);
  const logPath = join(logs, `${handler}.log`);
  console.log(`critest under ${handler}; it writes to ${logPath}`);
  await rm(logPath, { force: true });
  const endpoint = ['-runtime-endpoint', `unix://${lab.socketPath}`, '-runtime-handler', handler];
  const ginkgo = ['-ginkgo.no-color', `-ginkgo.timeout=${values.minutes}m`, `-ginkgo.junit-report=${junit}`];
  // Go's own limit must not come before ginkgo's, which still writes the report.
  const limit = ['-test.timeout', `${Number(values.minutes) + 5}m`];
  const focus = values.focus.map((regexp) => `-ginkgo.focus=${regexp}`);
  await runTo([critest, ...endpoint, ...limit, ...ginkgo, ...focus], { cwd: logs, logPath });
  await copyFile(join(lab.home, 'cri.log'), join(logs, `${handler}-server.log`));
  return readOutcomes(await readFile(junit, 'utf8'));
}
