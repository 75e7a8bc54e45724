/** Which kubectls stand on this machine, and how to run one against a test API. */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename } from 'node:path';

export interface Kubectl {
  /** Such as 1.33. */
  version: string;
  path: string;
}

const newest = 33;
const oldest = 27;

/** Those of the versions we promise, oldest first; SAMPAN_KUBECTLS names others, separated by colons. */
export function findKubectls(): Kubectl[] {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/lib/google-cloud-sdk/bin'];
  const named = (process.env.SAMPAN_KUBECTLS ?? '').split(':').filter(Boolean);
  const found = named.length > 0 ? named : folders.flatMap((folder) => globSync(`${folder}/kubectl.1.*`));
  const byVersion = new Map<string, Kubectl>();
  for (const path of found) {
    const minor = Number(/kubectl\.1\.(\d+)$/.exec(basename(path))?.[1]);
    const version = `1.${minor}`;
    if (minor >= oldest && minor <= newest) byVersion.set(version, { version, path });
  }
  return [...byVersion.values()].sort((a, b) => Number(a.version.slice(2)) - Number(b.version.slice(2)));
}

export interface KubectlResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface KubectlOptions {
  kubeconfig: string;
  /** For kubectl's discovery cache. */
  home: string;
  input?: string;
  env?: Record<string, string>;
  timeoutMs?: number;
  /** Called with all that was printed so far; true ends the command. */
  until?(stdout: string): boolean;
}

/** Runs to the end, or until it is told to stop; never throws for an exit code. */
export function runKubectl(kubectl: Kubectl, args: string[], options: KubectlOptions): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH, HOME: options.home, KUBECONFIG: options.kubeconfig, ...options.env };
    const child = spawn(kubectl.path, args, { env });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      if (options.until?.(stdout)) child.kill('SIGTERM');
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.end(options.input);
  });
}
