/** What the host says of KVM before anything is tried: the processor's extension and the device. */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';

export interface KvmDevice {
  /** Of the processor (/proc/cpuinfo); undefined: it has none, or whoever is below keeps it to himself. */
  extension: 'vmx' | 'svm' | undefined;
  /** Why /dev/kvm cannot be opened: an errno's name; undefined: it can. */
  refusal: string | undefined;
  /** Tells this device from one of a module that was loaded anew; empty where there is none. */
  identity: string;
}

export const kvmPath = '/dev/kvm';

export async function lookAtKvm(path: string = kvmPath, cpuinfoPath = '/proc/cpuinfo'): Promise<KvmDevice> {
  const [cpuinfo, refusal, identity] = await Promise.all([
    readFile(cpuinfoPath, 'utf8'),
    refusalOf(path),
    stat(path).then(
      ({ ino, rdev, ctimeMs }) => `${ino}/${rdev}/${ctimeMs}`,
      () => '',
    ),
  ]);
  return { extension: virtualisationExtension(cpuinfo), refusal, identity };
}

/** From /proc/cpuinfo. */
export function virtualisationExtension(cpuinfo: string): 'vmx' | 'svm' | undefined {
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? [];
  return flags.includes('vmx') ? 'vmx' : flags.includes('svm') ? 'svm' : undefined;
}

/** Opened, not only looked at: the node is there before the module is, and a container may see what it may not open. */
async function refusalOf(path: string): Promise<string | undefined> {
  try {
    await (await open(path, constants.O_RDWR)).close();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Why KVM is out of the question; undefined: it has to be tried. Pure. */
export function whyNoKvm({ extension, refusal }: KvmDevice): string | undefined {
  if (!extension) return 'the CPU shows neither vmx nor svm';
  const shows = `the CPU shows ${extension}, but`;
  switch (refusal) {
    case undefined:
      return undefined;
    case 'ENOENT':
      return `${shows} there is no ${kvmPath}`;
    case 'ENODEV':
    case 'ENXIO':
      return `${shows} no module stands behind ${kvmPath}`;
    case 'EACCES':
    case 'EPERM':
      return `${shows} ${kvmPath} may not be opened (${refusal})`;
    default:
      return `${shows} ${kvmPath} cannot be opened (${refusal})`;
  }
}
