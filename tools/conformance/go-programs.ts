/** Kubernetes' own programs, for tests and for comparison, built once from its Go modules (pinned in go.mod beside this file). */
import { buildGoProgram, cachedProgram } from '../go-program.ts';

/** As go.mod pins it. */
export const kubernetesVersion = 'v1.33.4';

const staticBuild = ['build', '-trimpath', '-ldflags', '-s -w'];
/** What runs in images has no libc there. */
const withoutLibc = { CGO_ENABLED: '0' };
const programs = {
  e2e: { file: `e2e-${kubernetesVersion}.test`, args: ['test', '-c', '-ldflags', '-s -w'], package: 'test/e2e' },
  agnhost: {
    file: `agnhost-${kubernetesVersion}`,
    args: staticBuild,
    package: 'test/images/agnhost',
    env: withoutLibc,
  },
  nonewprivs: {
    file: `nonewprivs-${kubernetesVersion}`,
    args: staticBuild,
    package: 'test/images/nonewprivs',
    env: withoutLibc,
  },
  apiserver: {
    file: `kube-apiserver-${kubernetesVersion}`,
    args: staticBuild,
    package: 'cmd/kube-apiserver',
    env: withoutLibc,
  },
  kubelet: { file: `kubelet-${kubernetesVersion}`, args: staticBuild, package: 'cmd/kubelet', env: withoutLibc },
};

/** Where the program is, once built. */
export const binaryOf = (name: keyof typeof programs): string => cachedProgram(programs[name].file);

/** Path of the program; builds it when it is not there. */
export function goProgram(name: keyof typeof programs): Promise<string> {
  const program = programs[name];
  return buildGoProgram({ ...program, folder: import.meta.dirname, package: `k8s.io/kubernetes/${program.package}` });
}
