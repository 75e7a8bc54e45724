/**
 * npm run conformance: builds Kubernetes' end-to-end test binary from Go modules (once; it stays in the user's cache), runs the
 * conformance tests in scope against our API server and on machines, keeps their outcomes in results.json and writes
 * docs/conformance.md from it. Exits 1 when a test that passed before no longer does.
 *
 *   --on api|machines  only those that run there (default: both)
 *   --focus TEXT       only those whose name holds it; several may be given
 *   --again            only those that did not pass the last time
 *   --minutes N        the most a group of tests may take (default 240)
 *   --parallel N       tests at a time (default 1; on machines 2)
 *   --logs DIRECTORY   keeps what the tests said
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { openCluster } from './clusters.ts';
import { runE2e } from './e2e.ts';
import { goProgram, kubernetesVersion } from './go-programs.ts';
import { writePage } from './report.ts';
import { broken, merge, readResults, writeResults } from './results.ts';
import { excluded, type Place, placeOf } from './scope.ts';

const { values } = parseArgs({
  options: {
    on: { type: 'string', multiple: true, default: ['api', 'machines'] },
    focus: { type: 'string', multiple: true },
    again: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '240' },
    parallel: { type: 'string' },
    logs: { type: 'string' },
  },
});

const binary = await goProgram('e2e');
const listed = execFileSync(binary, ['--list-conformance-tests'], {
  maxBuffer: 16 << 20,
  stdio: ['ignore', 'pipe', 'ignore'],
});
const all = (parse(listed.toString()) as { codename: string }[]).map(({ codename }) => codename);
const known = await readResults();
const wanted = all
  .filter((name) => !excluded(name) && (!values.focus || values.focus.some((text) => name.includes(text))))
  .filter((name) => !values.again || known[name]?.outcome !== 'passed');

const logs = values.logs ?? (await mkdtemp(join(tmpdir(), 'sampan-conformance-')));
const lost: string[] = [];
for (const place of values.on as Place[]) {
  const names = wanted.filter((name) => placeOf(name) === place);
  if (names.length > 0) await runOn(place, names);
}
if (!values.logs) await rm(logs, { recursive: true, force: true });
for (const name of lost) console.error(`passed before, and no longer does: ${name}`);
process.exit(lost.length > 0 ? 1 : 0);

async function runOn(place: Place, names: string[]): Promise<void> {
  console.log(`${names.length} of ${all.length} conformance tests on ${place}; logs in ${logs}`);
  const outcomes = await (async () => {
    await using cluster = await openCluster[place]();
    return await runE2e({
      binary,
      kubeconfig: cluster.kubeconfig,
      names,
      minutes: Number(values.minutes),
      parallel: Number(values.parallel ?? (place === 'machines' ? 2 : 1)),
      directory: join(logs, place),
    });
  })();
  // Read again: a run elsewhere may have written meanwhile.
  const before = await readResults();
  const after = merge(before, names, outcomes);
  await writeResults(after);
  await writeFile(join(import.meta.dirname, '../../docs/conformance.md'), writePage(kubernetesVersion, all, after));
  lost.push(...broken(before, after));
  for (const { name, message } of outcomes.filter(({ passed }) => !passed)) console.log(`failed: ${name}: ${message}`);
  console.log(`${outcomes.filter(({ passed }) => passed).length} of ${names.length} passed`);
}
