/** Runs Kubernetes' end-to-end tests by their names against a cluster: several at a time, and those that want to be alone at the end. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readJunit } from './junit.ts';
import type { Outcome } from './results.ts';
import { runTo } from './run-to.ts';

export interface E2eOptions {
  binary: string;
  kubeconfig: string;
  names: string[];
  /** Of each group: the tests in parallel, the serial ones. What runs longer is cut off there. */
  minutes: number;
  /** So many test processes at a time. */
  parallel: number;
  /** Where each process' log and report go. */
  directory: string;
}

export async function runE2e(options: E2eOptions): Promise<Outcome[]> {
  const serial = options.names.filter((name) => name.includes('[Serial]'));
  const others = options.names.filter((name) => !serial.includes(name));
  const groups = Array.from({ length: options.parallel }, (_, group) =>
    others.filter((_, index) => index % options.parallel === group),
  );
  const together = await Promise.all(groups.map((names, index) => runGroup(options, names, `group-${index + 1}`)));
  return [...together.flat(), ...(await runGroup(options, serial, 'serial'))];
}

async function runGroup(options: E2eOptions, names: string[], label: string): Promise<Outcome[]> {
  if (names.length === 0) return [];
  const directory = join(options.directory, label);
  await mkdir(directory, { recursive: true });
  await runTo(
    [
      options.binary,
      `--kubeconfig=${options.kubeconfig}`,
      '--provider=skeleton',
      '--minStartupPods=0',
      '--ginkgo.no-color',
      `--ginkgo.timeout=${options.minutes}m`,
      `--ginkgo.focus=(${names.map(escapeRegExp).join('|')})`,
      `--report-dir=${directory}`,
    ],
    { logPath: join(directory, 'log') },
  );
  const report = join(directory, 'junit_01.xml');
  return existsSync(report) ? readJunit(await readFile(report, 'utf8')) : [];
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
