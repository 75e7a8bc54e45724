/** Kubernetes' own programs for tests, built once from its Go modules (pinned in go.mod beside this file) into the user's cache. */
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runTo } from './run-to.ts';

/** As go.mod pins it. */
export const kubernetesVersion = 'v1.33.4';

const binaryCache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sampan-test/bin');

interface GoProgram {
  file: string;
  /** What comes between `go` and `-o`. */
  args: string[];
  package: string;
}

const staticBuild = ['build', '-trimpath', '-ldflags', '-s -w'];
const programs = {
  e2e: {
    file: `e2e-${kubernetesVersion}.test`,
    args: ['test', '-c', '-ldflags', '-s -w'],
    package: 'k8s.io/kubernetes/test/e2e',
  },
  agnhost: {
    file: `agnhost-${kubernetesVersion}`,
    args: staticBuild,
    package: 'k8s.io/kubernetes/test/images/agnhost',
  },
  nonewprivs: {
    file: `nonewprivs-${kubernetesVersion}`,
    args: staticBuild,
    package: 'k8s.io/kubernetes/test/images/nonewprivs',
  },
  kubelet: {
    file: `kubelet-${kubernetesVersion}`,
    args: staticBuild,
    package: 'k8s.io/kubernetes/cmd/kubelet',
  },
} satisfies Record<string, GoProgram>;

/** Where the program is, once built. */
export const binaryOf = (name: keyof typeof programs): string => join(binaryCache, programs[name].file);

/** Path of the program; builds it when it is not there, whole or not at all. */
export async function goProgram(name: keyof typeof programs): Promise<string> {
  const program: GoProgram = programs[name];
  const path = binaryOf(name);
  if (existsSync(path)) return path;
  await mkdir(binaryCache, { recursive: true });
  console.log(
    `building ${program.package} from its Go modules, once${name === 'e2e' ? '; it takes several minutes' : ''}`,
  );
  const fresh = `${path}.${process.pid}`;
  const code = await runTo(['nice', '-n', '19', 'go', ...program.args, '-o', fresh, program.package], {
    cwd: import.meta.dirname,
    // For images: no libc in there.
    env: name === 'e2e' ? {} : { CGO_ENABLED: '0' },
  });
  if (code !== 0) throw new Error(`${program.package} does not build: see above`);
  await rename(fresh, path);
  return path;
}
