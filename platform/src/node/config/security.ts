/** securityContext of Pod and container as CRI's: kubelet's security_context.go. */
import { isAbsolute, join, normalize } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Container, Pod, SeccompProfile, SecurityContext } from 'kubernetes-types/core/v1.js';
import { defaultMaskedPaths, defaultReadonlyPaths } from '../../runtime/default-paths.ts';
import type * as cri from '../../runtime/generated/cri.ts';
import { NamespaceMode, SecurityProfile_ProfileType, SupplementalGroupsPolicy } from '../../runtime/generated/cri.ts';
import { formatPod } from '../labels.ts';

type SecurityFields = Pick<Container, 'name' | 'securityContext'>;

export function namespaceOptions(pod: Pod, targetId?: string): cri.NamespaceOption {
  const spec = pod.spec;
  return {
    network: spec?.hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD,
    ipc: spec?.hostIPC ? NamespaceMode.NODE : NamespaceMode.POD,
    pid: spec?.hostPID ? NamespaceMode.NODE : pidMode(pod, targetId),
    ...(targetId ? { targetId } : {}),
  };
}

function pidMode(pod: Pod, targetId: string | undefined): cri.NamespaceMode {
  if (targetId) return NamespaceMode.TARGET;
  return pod.spec?.shareProcessNamespace ? NamespaceMode.POD : NamespaceMode.CONTAINER;
}

export function sandboxSecurity(pod: Pod): cri.LinuxSandboxSecurityContext {
  const context = pod.spec?.securityContext;
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return {
    namespaceOptions: namespaceOptions(pod),
    privileged: containers.some((container) => container.securityContext?.privileged),
    seccomp: { profileType: SecurityProfile_ProfileType.RuntimeDefault, localhostRef: '' },
    ...(context?.runAsUser !== undefined ? { runAsUser: int64(context.runAsUser) } : {}),
    ...(context?.runAsGroup !== undefined ? { runAsGroup: int64(context.runAsGroup) } : {}),
    supplementalGroups: groupsOf(pod),
  };
}

export function containerSecurity(
  pod: Pod,
  container: SecurityFields,
  given: { uid?: bigint; username: string; targetId?: string; seccompDirectory: string },
): cri.LinuxContainerSecurityContext {
  const own = container.securityContext;
  const user = effective(pod, own, 'runAsUser');
  const group = effective(pod, own, 'runAsGroup');
  const privileged = own?.privileged === true;
  return {
    namespaceOptions: namespaceOptions(pod, given.targetId),
    privileged,
    readonlyRootfs: own?.readOnlyRootFilesystem === true,
    noNewPrivs: own?.allowPrivilegeEscalation === false,
    capabilities: {
      addCapabilities: own?.capabilities?.add ?? [],
      dropCapabilities: own?.capabilities?.drop ?? [],
    },
    supplementalGroups: groupsOf(pod),
    supplementalGroupsPolicy: strictGroups(pod) ? SupplementalGroupsPolicy.Strict : SupplementalGroupsPolicy.Merge,
    seccomp: seccompOf(
      privileged ? undefined : (own?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile),
      given.seccompDirectory,
    ),
    ...userOf(user === undefined ? given.uid : BigInt(user), given.username),
    ...(group !== undefined ? { runAsGroup: int64(group) } : {}),
    ...(privileged ? {} : pathsFor(own?.procMount)),
  };
}

/** A number where one is known; a name is looked up in the image's own /etc/passwd. */
function userOf(uid: bigint | undefined, username: string): Partial<cri.LinuxContainerSecurityContext> {
  if (uid !== undefined) return { runAsUser: { value: uid } };
  return username ? { runAsUsername: username } : {};
}

/** An empty list is a list: unset, the runtime would take the default. */
const pathsFor = (procMount: string | undefined) =>
  procMount === 'Unmasked'
    ? { maskedPaths: [], readonlyPaths: [] }
    : { maskedPaths: defaultMaskedPaths, readonlyPaths: defaultReadonlyPaths };

function effective<K extends 'runAsUser' | 'runAsGroup' | 'runAsNonRoot'>(
  pod: Pod,
  own: SecurityContext | undefined,
  field: K,
): SecurityContext[K] | undefined {
  return own?.[field] ?? pod.spec?.securityContext?.[field];
}

function groupsOf(pod: Pod): bigint[] {
  const { fsGroup, supplementalGroups = [] } = pod.spec?.securityContext ?? {};
  return [...(fsGroup !== undefined ? [fsGroup] : []), ...supplementalGroups].map(BigInt);
}

/** securityContext.supplementalGroupsPolicy (Kubernetes 1.31), which the types do not name yet. */
const strictGroups = (pod: Pod): boolean =>
  (pod.spec?.securityContext as { supplementalGroupsPolicy?: string } | undefined)?.supplementalGroupsPolicy ===
  'Strict';

/** Who names no profile runs unconfined, as with a kubelet that is not told otherwise: the machine is the wall. */
function seccompOf(profile: SeccompProfile | undefined, directory: string): cri.SecurityProfile {
  if (profile?.type === 'Unconfined') return { profileType: SecurityProfile_ProfileType.Unconfined, localhostRef: '' };
  if (profile?.type === 'Localhost')
    return {
      profileType: SecurityProfile_ProfileType.Localhost,
      localhostRef: localhostRef(directory, profile.localhostProfile ?? ''),
    };
  if (profile) return { profileType: SecurityProfile_ProfileType.RuntimeDefault, localhostRef: '' };
  return { profileType: SecurityProfile_ProfileType.Unconfined, localhostRef: '' };
}

/** A tenant names a file of the node's directory of profiles, and none elsewhere. Throws Invalid. */
function localhostRef(directory: string, name: string): string {
  if (name === '' || name.includes('\0') || isAbsolute(name) || normalize(name).split('/').includes('..'))
    throw new SampanError('Invalid', `seccomp profile "${name}": wanted a path below the node's directory of profiles`);
  return join(directory, name);
}

const int64 = (value: number): cri.Int64Value => ({ value: BigInt(value) });

/** Why a container that must not run as root would; undefined when it would not. */
export function runAsNonRootFault(
  pod: Pod,
  container: SecurityFields,
  image: { uid?: bigint; username: string },
): string | undefined {
  const own = container.securityContext;
  if (!effective(pod, own, 'runAsNonRoot')) return undefined;
  const where = `(pod: "${formatPod(pod)}", container: ${container.name})`;
  const user = effective(pod, own, 'runAsUser');
  if (user !== undefined) return user === 0 ? `container's runAsUser breaks non-root policy ${where}` : undefined;
  if (image.uid !== undefined)
    return image.uid === 0n ? `container has runAsNonRoot and image will run as root ${where}` : undefined;
  if (image.username === '' || image.username === 'root')
    return `container has runAsNonRoot and image will run as root ${where}`;
  return `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`;
}
