/** `sampan bench`: runs one of tools/bench, after making this machine ready. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { currentInstance } from '../instance.ts';
import {
  containerdPackage,
  etcdPackage,
  type PackageNeed,
  podmanPackages,
  runtimePackages,
} from '../setup/packages.ts';
import { prepare } from './up.ts';

/** What a benchmark compares with. */
const peerPackages: Record<string, PackageNeed[]> = {
  api: [etcdPackage],
  runtime: [...podmanPackages, containerdPackage],
};

export async function bench(name: string, options: { json?: boolean; runs: string; only?: string }): Promise<void> {
  if (options.only && name !== 'runtime')
    throw new Failure(`bench ${name} has no parts`, { why: '--only is for runtime', mend: `./sampan bench ${name}` });
  const instance = currentInstance();
  const script = join(instance.root, 'tools/bench', `${name}.ts`);
  if (!/^[a-z]+$/.test(name) || !existsSync(script))
    throw new Failure(`there is no benchmark "${name}"`, {
      why: 'the benchmarks are: start, api, runtime, overhead',
      mend: './sampan bench start',
    });
  const noMachines = name === 'api';
  await prepare([...runtimePackages, ...(peerPackages[name] ?? [])], { quiet: options.json, noMachines });
  const args = [script, '--runs', options.runs, ...(options.json ? ['--json'] : [])];
  if (options.only) args.push('--only', options.only);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], { stdio: 'inherit' });
  process.exitCode = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 128)));
}
