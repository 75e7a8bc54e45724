/** kube-apiserver for the comparison, built from its Go modules into the cache: some minutes of CPU, once. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const version = 'v1.33.4';
const staging = 'v0.33.4';
const command = 'k8s.io/kubernetes/cmd/kube-apiserver';

/** SAMPAN_KUBE_APISERVER names another binary; throws with the reason when there is none and none can be built. */
export function kubeApiserver(progress: (text: string) => void): string {
  const named = process.env.SAMPAN_KUBE_APISERVER;
  if (named) return named;
  const cache = join(process.env.SAMPAN_CACHE || '/var/cache/sampan', `kubernetes-${version}`);
  const binary = join(cache, 'kube-apiserver');
  if (existsSync(binary)) return binary;
  progress(`building kube-apiserver ${version}, once`);
  const directory = mkdtempSync(join(tmpdir(), 'sampan-kube-build-'));
  const go = (cwd: string, ...args: string[]) => {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/go/bin` };
    const result = spawnSync('go', args, { cwd, env, encoding: 'utf8', timeout: 1_200_000 });
    if (result.error) throw result.error;
    if (result.status !== 0) throw new Error(`go ${args[0]}: ${result.stderr.trim().split('\n').at(-1)}`);
    return result.stdout;
  };
  try {
    const { GoMod } = JSON.parse(go(tmpdir(), 'mod', 'download', '-json', `k8s.io/kubernetes@${version}`));
    // The parts it keeps in its own tree are modules of their own, under the version that goes with it.
    const parts = readFileSync(GoMod, 'utf8').matchAll(/(k8s\.io\/[a-z-]+) => \.\/staging/g);
    const replaced = [...parts].map(([, name]) => `\t${name} => ${name} ${staging}`);
    const text = [
      'module build',
      'go 1.24.0',
      `require k8s.io/kubernetes ${version}`,
      'replace (',
      ...replaced,
      ')',
      '',
    ];
    writeFileSync(join(directory, 'go.mod'), text.join('\n'));
    writeFileSync(join(directory, 'needs.go'), `//go:build needs\n\npackage build\n\nimport _ "${command}"\n`);
    go(directory, 'get', `${command}@${version}`);
    mkdirSync(cache, { recursive: true });
    go(directory, 'build', '-o', `${binary}.new`, command);
    renameSync(`${binary}.new`, binary);
    return binary;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
