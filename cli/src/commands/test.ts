/** `sampan test`: the house rules, the type check, the linter, then every test with Node's own runner. */
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { currentInstance } from '../instance.ts';
import type { Artifact } from '../setup/artifacts.ts';
import { runtimePackages, testPackages } from '../setup/packages.ts';
import { toolPath } from '../setup/tool-path.ts';
import { type LaneEnd, runLane, testFlags } from '../test-run/run-lane.ts';
import { verdict, worthAnotherTry } from '../test-run/unsteady.ts';
import { prepare } from './up.ts';

const unitTests = ['api/**/*.test.ts', 'platform/src/**/*.test.ts', 'cli/**/*.test.ts', 'tools/**/*.test.ts'];
const integrationTests = ['platform/test/**/*.test.ts'];

/**
 * Of these, those that need no machine and nothing that a host has once (networks, mounts, control groups): two files at a time, as the unit tests; all others
 * one after another.
 */
const besideOthers = /\/(simulation\/|integration\/(api|client|controller|etcd|kubectl|streaming|workloads)-)/;

/** Building real clients may take so much of a run that finds none: tests whose client is not there by then say so and are skipped. */
const clientsMs = 14 * 60_000;

export async function test(files: string[], options: { unit?: boolean; once?: boolean }): Promise<void> {
  const instance = currentInstance();
  const built = options.unit ? [] : await prepare([...runtimePackages, ...testPackages]);
  const directoryOf = (name: Artifact['name']) => built.find((artifact) => artifact.name === name)?.directory;
  const env = {
    ...process.env,
    PATH: `${join(process.execPath, '..')}:${toolPath()}`,
    ...(options.unit ? {} : { SAMPAN_GUEST_DIR: directoryOf('guest'), SAMPAN_HOST_DIR: directoryOf('host') }),
    NODE_COMPILE_CACHE: join(instance.cache, 'node-compile-cache'),
    // However full this machine's disk is otherwise, tests' nodes take Pods.
    SAMPAN_EVICTION_HARD: 'none',
  };
  const root = instance.root;
  const expand = (patterns: string[]) =>
    patterns
      .flatMap((pattern) => globSync(pattern, { cwd: root, exclude: (name) => name.includes('node_modules') }))
      .sort();
  if (files.length > 0) return run(root, '--test', [...testFlags(1), ...files], env);
  await checkHouse(root, env);
  if (options.unit) return runLanes(root, env, { beside: expand(unitTests), alone: [], ...options });
  const clientsBy = { SAMPAN_CLIENTS_BY: String(Date.now() + clientsMs) };
  const clients = buildClients(root, { ...env, ...clientsBy });
  const integration = expand(integrationTests);
  const lanes = {
    beside: [...expand(unitTests), ...integration.filter((file) => besideOthers.test(file))],
    alone: integration.filter((file) => !besideOthers.test(file)),
    ...options,
  };
  await runLanes(root, { ...env, ...clientsBy }, lanes).finally(() => clients.kill('SIGTERM'));
}

async function checkHouse(root: string, env: NodeJS.ProcessEnv): Promise<void> {
  await run(root, 'tools/tidy.ts', [], env);
  await run(root, 'node_modules/typescript/bin/tsc', ['--noEmit', '-p', 'tsconfig.json'], env);
  await run(root, 'node_modules/@biomejs/biome/bin/biome', ['check', '.'], env);
}

/** Real clients that are not in the user's cache yet are built while the unit tests run; it goes on beside the other tests until it is done or ended. */
function buildClients(root: string, env: NodeJS.ProcessEnv): ChildProcess {
  const script = 'platform/test/clients/build-all.ts';
  const args = ['--disable-warning=ExperimentalWarning', script];
  return spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Both, whatever the first one brings, and one count for them. */
async function runLanes(
  root: string,
  env: NodeJS.ProcessEnv,
  { beside, alone, once = false }: { beside: string[]; alone: string[]; once?: boolean },
): Promise<void> {
  const ends = [
    await runLane({ root, env, files: beside, atOnce: 2 }),
    await runLane({ root, env, files: alone, atOnce: 1 }),
  ];
  const again = new Map<string, LaneEnd>();
  for (const file of once ? [] : worthAnotherTry(ends)) {
    process.stdout.write(`\n${file} failed; it is run once more, by itself\n`);
    again.set(file, await runLane({ root, env, files: [file], atOnce: 1 }));
  }
  const { isGreen, lines } = verdict(ends, again);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (!isGreen) throw failed('--test', 1);
}

async function run(root: string, script: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [script, ...args], { cwd: root, env, stdio: 'inherit' });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 128)));
  if (code !== 0) throw failed(script, code);
}

const failed = (script: string, code: number): Failure =>
  new Failure(`${script} failed (exit ${code})`, {
    why: 'its output is above',
    mend: 'mend what it names and run ./sampan test again',
    exitCode: 1,
  });
