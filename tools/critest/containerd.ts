/**
 * npm run critest-containerd: the unmodified critest against the CRI plugin of containerd, whose Pods our shim runs. Debian's containerd 1.6, and containerd 2
 * built from its Go module, with a pause container (runtimes `sampan`, `sampan-namespace`) and by the sandbox API without one (`sampan-pod`). Keeps
 * the outcomes in containerd-results.json and writes its part of docs/conformance-cri.md. Exits 1 when a spec that passed before no longer does.
 *
 *   --through NAME     as in `setups` (default: all but those of runc, which tell what the plugin and this host do without us)
 *   --focus REGEXP     only the specs whose name matches; several may be given
 *   --again            only the specs that did not pass
 *   --minutes N        the most that a setup's specs may take (default 60)
 *   --logs DIRECTORY   keeps what critest and the servers said
 *   --check            writes neither results nor page, and fails too when nothing ran
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare } from '../../cli/src/commands/up.ts';
import { runtimePackages, testPackages } from '../../cli/src/setup/packages.ts';
import { command } from '../../platform/test/integration/support/command.ts';
import { buildContainerd2 } from '../../platform/test/integration/support/containerd-2.ts';
import { criPluginLines } from '../../platform/test/integration/support/containerd-cri-config.ts';
import {
  ContainerdLab,
  type ContainerdPrograms,
  debians,
} from '../../platform/test/integration/support/containerd-lab.ts';
import { pauseArchive, pauseImage } from '../../platform/test/integration/support/pause-image.ts';
import { runTo } from '../conformance/run-to.ts';
import { writeContainerdSection } from './containerd-page.ts';
import { criTool, criToolsVersion } from './go-programs.ts';
import { readOutcomes } from './junit.ts';
import { enterMountNamespace, registryNames, serveRegistries } from './registries.ts';
import { broken, type Results, readResultsOf, writeResultsTo } from './results.ts';

const setups: Record<string, { major: 1 | 2; runtime: string }> = {
  'containerd 1.6, sampan': { major: 1, runtime: 'sampan' },
  'containerd 1.6, sampan-namespace': { major: 1, runtime: 'sampan-namespace' },
  'containerd 2, sampan': { major: 2, runtime: 'sampan' },
  'containerd 2, sampan-pod': { major: 2, runtime: 'sampan-pod' },
  'containerd 1.6, runc': { major: 1, runtime: 'runc' },
  'containerd 2, runc': { major: 2, runtime: 'runc' },
};
const ours = Object.keys(setups).filter((name) => !name.endsWith('runc'));

const { values } = parseArgs({
  options: {
    through: { type: 'string', multiple: true, default: ours },
    focus: { type: 'string', multiple: true, default: [] },
    again: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '60' },
    logs: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
});
const unknown = values.through.find((name) => !setups[name]);
if (unknown) throw new Error(`--through "${unknown}": wanted one of ${Object.keys(setups).join('; ')}`);

enterMountNamespace();
await prepare([...runtimePackages, ...testPackages]);
const critest = await criTool('critest');
const resultsPath = join(import.meta.dirname, 'containerd-results.json');
const pagePath = join(import.meta.dirname, '../../docs/conformance-cri.md');
const logs = values.logs ?? (await mkdtemp(join(tmpdir(), 'sampan-critest-')));
await mkdir(logs, { recursive: true });
const bridge = `samcrt${process.pid % 10_000}`;
const lost: string[] = [];
{
  await using _registries = await serveRegistries();
  for (const name of values.through) await runThrough(name);
}
if (!values.logs) await rm(logs, { recursive: true, force: true });
for (const name of lost) console.error(`passed before, and no longer does: ${name}`);
process.exit(lost.length > 0 ? 1 : 0);

async function runThrough(name: string): Promise<void> {
  const before = await readResultsOf<string>(resultsPath);
  const focus = [...values.focus, ...(values.again ? notPassed(before[name] ?? {}) : [])];
  const outcomes = await outcomesThrough(name, focus);
  if (values.check && Object.keys(outcomes).length === 0) throw new Error('no spec has that name');
  if (!values.check) {
    const results = { ...before, [name]: { ...before[name], ...outcomes } };
    await writeResultsTo(resultsPath, results);
    await writeFile(pagePath, writeContainerdSection(await readFile(pagePath, 'utf8'), criToolsVersion, results));
  }
  lost.push(...broken(before[name] ?? {}, outcomes).map((spec) => `${spec} (${name})`));
  const all = Object.entries(outcomes);
  for (const [spec, { outcome, message }] of all) if (outcome === 'failed') console.log(`failed: ${spec}: ${message}`);
  console.log(`${name}: ${all.filter(([, { outcome }]) => outcome === 'passed').length} of ${all.length} passed`);
}

/** As ginkgo's regular expressions. */
function notPassed(results: Results): string[] {
  const failed = Object.entries(results).filter(([, { outcome }]) => outcome === 'failed');
  return failed.map(([spec]) => spec.replaceAll(/[^A-Za-z0-9 ]/g, '.'));
}

async function outcomesThrough(name: string, focus: string[]): Promise<Results> {
  const { major, runtime } = setups[name]!;
  const file = name.replaceAll(/[^a-z0-9.]+/g, '-');
  const junit = join(logs, `${file}.xml`);
  const logPath = join(logs, `${file}.log`);
  console.log(`critest through ${name}; it writes to ${logPath}`);
  for (const path of [junit, logPath]) await rm(path, { force: true });
  await using cleanUp = new AsyncDisposableStack();
  const lab = await openLab(await programsOf(major));
  cleanUp.defer(async () => {
    // What specs that failed left behind.
    await lab.removePods();
    await lab.stop();
    await command('ip', ['link', 'delete', bridge]);
  });
  const endpoint = ['-runtime-endpoint', `unix://${lab.socket}`, '-runtime-handler', runtime];
  const ginkgo = ['-ginkgo.no-color', `-ginkgo.timeout=${values.minutes}m`, `-ginkgo.junit-report=${junit}`];
  const limit = ['-test.timeout', `${Number(values.minutes) + 5}m`];
  const flags = [...endpoint, ...limit, ...ginkgo, ...focus.map((regexp) => `-ginkgo.focus=${regexp}`)];
  await runTo([critest, ...flags], { cwd: logs, logPath });
  await copyFile(join(lab.home, 'service.log'), join(logs, `${file}-service.log`));
  await copyFile(join(lab.home, 'c/log'), join(logs, `${file}-containerd.log`));
  return readOutcomes(await readFile(junit, 'utf8'));
}

async function programsOf(major: 1 | 2): Promise<ContainerdPrograms> {
  if (major === 1) return debians;
  const { programs, missing } = await buildContainerd2();
  if (!programs) throw new Error(`containerd 2: ${missing}`);
  return programs;
}

/** A containerd with its CRI plugin, a CNI network with host ports, and the registries of tests. */
async function openLab(programs: ContainerdPrograms): Promise<ContainerdLab> {
  const lab = await ContainerdLab.start(programs);
  await lab.ctr(['-n', 'k8s.io', 'image', 'import', await pauseArchive(lab.home)]);
  const [cni, registries] = [join(lab.home, 'cni'), join(lab.home, 'certs.d')];
  await mkdir(cni);
  const subnet = `10.${180 + (process.pid % 20)}.${process.pid % 250}.0/24`;
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: join(cni, 'leases'),
  };
  const plugins = [
    { type: 'bridge', bridge, isGateway: true, ipMasq: true, hairpinMode: true, ipam },
    { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  ];
  const network = { cniVersion: '0.4.0', name: 'critest', plugins };
  await writeFile(join(cni, '10-critest.conflist'), JSON.stringify(network));
  for (const host of registryNames) {
    await mkdir(join(registries, host), { recursive: true });
    const lines = [`server = "https://${host}"`, `[host."https://${host}"]`, '  skip_verify = true'];
    await writeFile(join(registries, host, 'hosts.toml'), lines.join('\n'));
  }
  await lab.killContainerd();
  await lab.startContainerd(criPluginLines({ major: programs.major, cni, pauseImage, registries }));
  return lab;
}
