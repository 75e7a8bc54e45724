/** The mounts that make a task's root directory: containerd names them, whoever runs the task makes them, and takes them away in the end. */
import { mkdir, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import type { Decoded } from '../ttrpc/protobuf.ts';
import type { mount } from './task-messages.ts';

export type RootfsMount = Partial<Decoded<typeof mount>>;

export interface RootfsMounts {
  /** The root directory, mounted. Idempotent. */
  make(bundle: string, mounts: RootfsMount[], configured: string | undefined): Promise<string>;
  /** Idempotent. */
  remove(bundle: string): Promise<void>;
}

export const hostRootfsMounts: RootfsMounts = {
  async make(bundle, mounts, configured) {
    const target = join(bundle, 'rootfs');
    if (mounts.length === 0) {
      if (!configured)
        throw new SampanError('Invalid', `bundle ${bundle}: it has neither mounts for a root nor root.path`);
      return isAbsolute(configured) ? configured : join(bundle, configured);
    }
    await mkdir(target, { recursive: true, mode: 0o711 });
    if (await isMounted(target)) return target;
    try {
      for (const one of mounts) await mountOne(one, target);
    } catch (error) {
      await hostRootfsMounts.remove(bundle);
      throw error;
    }
    return target;
  },

  async remove(bundle) {
    const target = join(bundle, 'rootfs');
    // Several mounts may lie one on the other.
    for (let left = 16; left > 0 && (await isMounted(target)); left--) await run('umount', ['--lazy', target]);
  },
};

async function mountOne({ type = '', source = '', options = [] }: RootfsMount, target: string): Promise<void> {
  const isBind = type === 'bind' || options.includes('bind') || options.includes('rbind');
  const list = isBind && !options.some((one) => one.endsWith('bind')) ? ['bind', ...options] : options;
  const args = [
    ...(isBind ? [] : ['-t', type]),
    ...(list.length > 0 ? ['-o', list.join(',')] : []),
    '--',
    source,
    target,
  ];
  await run('mount', args);
}

async function isMounted(target: string): Promise<boolean> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text.split('\n').some((line) => line.split(' ')[4] === target);
}
