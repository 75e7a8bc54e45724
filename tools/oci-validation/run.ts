/**
 * `npm run oci-validation`: the validation programs of OCI runtime-tools, built from their Go module (pinned in go.mod), over crun on this host
 * and over `sampan-runtime` with containers in VMs and on the host; writes docs/conformance-oci.md. Arguments name programs to run; without any it is all. Their
 * results kept beside the programs are renewed. The page is of all of them.
 */
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { command } from '../../platform/test/integration/support/command.ts';
import { crunScript, PodmanLab } from '../../platform/test/integration/support/podman-lab.ts';
import { type Comparison, page } from './page.ts';
import { inWords, parseTap, type TapResult } from './tap.ts';

const toolsVersion = 'v0.9.0';
const module = 'github.com/opencontainers/runtime-tools';
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sampan-test/bin', `oci-${toolsVersion}`);

async function need(file: string, args: string[], timeoutMs = 60_000): Promise<string> {
  const result = await command(file, args, { timeoutMs });
  if (result.code !== 0) throw new Error(`${file} ${args[0]}: ${result.stderr}`);
  return result.stdout;
}

/** Where the module is, after a download. */
async function moduleDirectory(): Promise<string> {
  return JSON.parse(
    await need('go', ['-C', import.meta.dirname, 'mod', 'download', '-json', `${module}@${toolsVersion}`]),
  ).Dir;
}

async function build(): Promise<string[]> {
  const validation = join(await moduleDirectory(), 'validation');
  const names = readdirSync(validation).filter((name) => /^[a-z]/.test(name) && name !== 'util');
  if (existsSync(cache)) return names;
  console.log('building the validation programs, once');
  const fresh = `${cache}.${process.pid}/`;
  await mkdir(fresh, { recursive: true });
  const packages = [`${module}/cmd/runtimetest`, ...names.map((name) => `${module}/validation/${name}`)];
  const flags = ['-C', import.meta.dirname, 'build', '-trimpath', '-ldflags', '-s -w', '-o', fresh];
  // They run in images without a libc.
  await need('env', ['CGO_ENABLED=0', 'nice', '-n', '15', 'go', ...flags, ...packages], 600_000);
  await rename(fresh, cache);
  return names;
}

async function validate(name: string, runtime: string, work: string): Promise<TapResult> {
  const scratch = await mkdtemp(join(work, 'tmp-'));
  try {
    const env = { ...process.env, RUNTIME: runtime, TMPDIR: scratch };
    const script = 'cd "$1" && exec timeout -s KILL 180 "$2"';
    const result = await command('sh', ['-c', script, 'sh', work, join(cache, name)], { env, timeoutMs: 200_000 });
    return parseTap(result.stdout, result.stderr, result.code);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const asked = process.argv.slice(2);
const all = await build();
const names = all.filter((name) => asked.length === 0 || asked.includes(name));
await using lab = await PodmanLab.open('oci-validation');
const work = join(lab.home, 'work');
await mkdir(work);
await copyFile(join(cache, 'runtimetest'), join(work, 'runtimetest'));
await writeFile(
  join(work, 'rootfs-amd64.tar.gz'),
  await readFile(join(await moduleDirectory(), 'rootfs-amd64.tar.gz')),
);
const crun = join(lab.home, 'crun');
await writeFile(crun, crunScript, { mode: 0o755 });
/** The programs know nothing of handlers: the runtime's name says it. */
const onHost = join(lab.home, 'sampan-runtime-namespace');
await copyFile(lab.runtime, onHost);
const resultsPath = `${cache}-results.json`;
const results: Record<string, Comparison> = existsSync(resultsPath)
  ? JSON.parse(await readFile(resultsPath, 'utf8'))
  : {};
for (const name of names) {
  const comparison = {
    name,
    crun: await validate(name, crun, work),
    host: await validate(name, onHost, work),
    sampan: await validate(name, lab.runtime, work),
  };
  results[name] = comparison;
  await writeFile(resultsPath, JSON.stringify(results));
  const { crun: theirs, host, sampan } = comparison;
  console.log(`${name}: crun ${inWords(theirs)}; on the host ${inWords(host)}; in a VM ${inWords(sampan)}`);
  for (const [where, result] of Object.entries({ host, sampan }))
    for (const words of [...result.failed, result.gaveUp].filter(Boolean)) console.log(`    ${where}: ${words}`);
}
const comparisons = all.map((name) => results[name]).filter((result) => result !== undefined);
const untried = all.filter((name) => !results[name]);
const versions = { crun: (await need('crun', ['--version'])).split('\n')[0]!, tools: toolsVersion };
await writeFile(join(import.meta.dirname, '../../docs/conformance-oci.md'), page(comparisons, untried, versions));
