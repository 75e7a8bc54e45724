/** `sampan test`: the house rules, the type check, the linter, then every test with Node's own runner. */
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { currentInstance } from '../instance.ts';
import type { Artifact } from '../setup/artifacts.ts';
import { runtimePackages, testPackages } from '../setup/packages.ts';
import { prepare } from './up.ts';

const unitTests = ['api/**/*.test.ts', 'platform/src/**/*.test.ts', 'cli/**/*.test.ts', 'tools/**/*.test.ts'];
const integrationTests = ['platform/test/**/*.test.ts'];

/** Building real clients may take so much of a run that finds none: tests whose client is not there by then say so and are skipped. */
const clientsMs = 14 * 60_000;

export async function test(files: string[], options: { unit?: boolean }): Promise<void> {
  const instance = currentInstance();
  const built = options.unit ? [] : await prepare([...runtimePackages, ...testPackages]);
  const directoryOf = (name: Artifact['name']) => built.find((artifact) => artifact.name === name)?.directory;
  const env = {
    ...process.env,
    PATH: `${join(process.execPath, '..')}:${process.env.PATH}:/usr/sbin:/sbin`,
    ...(options.unit ? {} : { SAMPAN_GUEST_DIR: directoryOf('guest'), SAMPAN_HOST_DIR: directoryOf('host') }),
    NODE_COMPILE_CACHE: join(instance.cache, 'node-compile-cache'),
  };
  const root = instance.root;
  const expand = (patterns: string[]) =>
    patterns
      .flatMap((pattern) => globSync(pattern, { cwd: root, exclude: (name) => name.includes('node_modules') }))
      .sort();
  if (files.length > 0) return runTests(root, files, env);
  if (options.unit) return runAll(root, env, expand(unitTests));
  const clientsBy = { SAMPAN_CLIENTS_BY: String(Date.now() + clientsMs) };
  const clients = buildClients(root, { ...env, ...clientsBy });
  await runAll(root, { ...env, ...clientsBy }, [...expand(unitTests), ...expand(integrationTests)]).finally(() =>
    clients.kill('SIGTERM'),
  );
}

async function runAll(root: string, env: NodeJS.ProcessEnv, files: string[]): Promise<void> {
  await run(root, 'tools/tidy.ts', [], env);
  await run(root, 'node_modules/typescript/bin/tsc', ['--noEmit', '-p', 'tsconfig.json'], env);
  await run(root, 'node_modules/@biomejs/biome/bin/biome', ['check', '.'], env);
  await runTests(root, files, env);
}

/** Real clients that are not in the user's cache yet are built while the unit tests run; it goes on beside the other tests until it is done or ended. */
function buildClients(root: string, env: NodeJS.ProcessEnv): ChildProcess {
  const script = 'platform/test/clients/build-all.ts';
  const args = ['--disable-warning=ExperimentalWarning', script];
  return spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** One run over all files, so that one closing count stands at the end. */
function runTests(root: string, files: string[], env: NodeJS.ProcessEnv): Promise<void> {
  return run(
    root,
    '--test',
    ['--disable-warning=ExperimentalWarning', '--test-concurrency=1', '--test-timeout=600000', ...files],
    env,
  );
}

async function run(root: string, script: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [script, ...args], { cwd: root, env, stdio: 'inherit' });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 128)));
  if (code !== 0)
    throw new Failure(`${script} failed (exit ${code})`, {
      why: 'its output is above',
      mend: 'mend what it names and run ./sampan test again',
      exitCode: 1,
    });
}
