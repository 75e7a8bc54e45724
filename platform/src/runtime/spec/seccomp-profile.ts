/**
 * A seccomp profile that somebody wrote into a file: the runtime-spec's form (config-linux.md, "Seccomp") or Docker's, which has rules for some
 * capabilities, architectures and kernels only. Becomes the runtime-spec's form for one container. Pure; reading the file is seccomp-file.ts.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { unsupported } from './refuse.ts';

const action = z.string().regex(/^SCMP_ACT_[A-Z_]{1,32}$/);
const architecture = z.string().regex(/^SCMP_ARCH_[A-Z0-9_]{1,32}$/);
const name = z.string().min(1).max(64);
const names = z.array(name).max(1000);
const errno = z.number().int().min(0).max(4095);
const word = z.number().nonnegative();
/** Docker's filter of a rule: `caps` all of them, `arches` one of them, the kernel at least `minKernel`. */
const filter = z.object({
  caps: names.optional(),
  arches: names.optional(),
  minKernel: z
    .string()
    .regex(/^\d{1,3}\.\d{1,4}(\.\d{1,4})?$/)
    .optional(),
});

const rule = z.object({
  name: name.nullish(),
  names: names.nullish(),
  action,
  errnoRet: errno.nullish(),
  args: z
    .array(
      z.object({
        index: z.number().int().min(0).max(5),
        value: word,
        valueTwo: word.optional(),
        op: z.string().regex(/^SCMP_CMP_[A-Z_]{1,20}$/),
      }),
    )
    .max(6)
    .nullish(),
  includes: filter.nullish(),
  excludes: filter.nullish(),
});

const profile = z.object({
  defaultAction: action,
  defaultErrnoRet: errno.nullish(),
  architectures: z.array(architecture).max(32).nullish(),
  archMap: z
    .array(z.object({ architecture, subArchitectures: z.array(architecture).max(8).nullish() }))
    .max(32)
    .nullish(),
  flags: z
    .array(z.string().regex(/^SECCOMP_FILTER_FLAG_[A-Z_]{1,32}$/))
    .max(8)
    .nullish(),
  listenerPath: z.string().nullish(),
  syscalls: z.array(rule).max(2000).nullish(),
});

type Filter = z.infer<typeof filter>;

/** The container that a profile is for. */
export interface ProfileSubject {
  /** With CAP_. */
  capabilities: ReadonlySet<string>;
  /** process.arch. */
  architecture: string;
  /** The least that its kernel is: major, minor. */
  kernel: readonly [number, number];
}

/** Docker's and libseccomp's names. */
const ofArchitecture: Record<string, { docker: string; seccomp: string }> = {
  x64: { docker: 'amd64', seccomp: 'SCMP_ARCH_X86_64' },
  arm64: { docker: 'arm64', seccomp: 'SCMP_ARCH_AARCH64' },
};

/** `where` names the file in complaints. Throws Invalid, Unsupported. */
export function parseSeccompProfile(text: string, where: string, subject: ProfileSubject): object {
  const { defaultAction, defaultErrnoRet, architectures, archMap, flags, listenerPath, syscalls } = read(text, where);
  const rules = (syscalls ?? []).filter((one) => applies(one, subject));
  if (listenerPath || [defaultAction, ...rules.map((one) => one.action)].includes('SCMP_ACT_NOTIFY'))
    throw unsupported(`seccomp profile ${where}: SCMP_ACT_NOTIFY`, 'nobody listens for system calls');
  return {
    defaultAction,
    ...(typeof defaultErrnoRet === 'number' ? { defaultErrnoRet } : {}),
    architectures: architectures?.length ? architectures : mapped(archMap ?? [], subject),
    ...(flags?.length ? { flags } : {}),
    syscalls: rules.map(({ name, names, action, errnoRet, args }) => ({
      names: [...(name ? [name] : []), ...(names ?? [])],
      action,
      ...(typeof errnoRet === 'number' ? { errnoRet } : {}),
      ...(args?.length ? { args } : {}),
    })),
  };
}

function read(text: string, where: string): z.infer<typeof profile> {
  try {
    return profile.parse(JSON.parse(text));
  } catch (error) {
    // Where it is wrong, and nothing of what stands there: whoever reads this may not be who may read the file.
    const at = error instanceof z.ZodError ? `at ${error.issues[0]?.path.join('.') || 'its root'}` : 'it is no JSON';
    throw new SampanError('Invalid', `seccomp profile ${where} is none: ${at}`);
  }
}

function mapped(map: NonNullable<z.infer<typeof profile>['archMap']>, subject: ProfileSubject): string[] {
  const own = ofArchitecture[subject.architecture]?.seccomp;
  const entry = map.find(({ architecture: each }) => each === own);
  return entry ? [entry.architecture, ...(entry.subArchitectures ?? [])] : [];
}

function applies({ includes, excludes }: z.infer<typeof rule>, subject: ProfileSubject): boolean {
  const own = ofArchitecture[subject.architecture]?.docker ?? subject.architecture;
  const has = (capability: string) => subject.capabilities.has(capability);
  const inside = (one: Filter) =>
    (one.caps ?? []).every(has) &&
    (!one.arches?.length || one.arches.includes(own)) &&
    (!one.minKernel || isAtLeast(subject.kernel, one.minKernel));
  const outside = (one: Filter) =>
    (one.caps ?? []).some(has) ||
    (one.arches ?? []).includes(own) ||
    (one.minKernel !== undefined && isAtLeast(subject.kernel, one.minKernel));
  return (!includes || inside(includes)) && (!excludes || !outside(excludes));
}

function isAtLeast([major, minor]: readonly [number, number], wanted: string): boolean {
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
