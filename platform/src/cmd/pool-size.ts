/** How many machines are kept ready ahead of need, from SAMPAN_POOL. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import { reserveClones } from '../vmm/qemu/clone-demand.ts';

export interface PoolSize {
  /** Of each shape in use. */
  pool: number;
  /** For crowds that nobody expects, of all shapes in use together. */
  reserve: number;
  /** After a crowd. */
  mostPool: number;
}

export interface PoolSizeOptions {
  /** Pods are handed to this process, many at once too; other callers start a machine now and then. */
  forCrowds: boolean;
  cores: number;
}

/** A number that was asked for is that number; absent or empty: one, and more for crowds. Throws Invalid for what is no count. */
export function poolSize(text: string | undefined, { forCrowds, cores }: PoolSizeOptions): PoolSize {
  if (!text) return { pool: 1, reserve: forCrowds ? reserveClones(cores) : 0, mostPool: Number.POSITIVE_INFINITY };
  if (!/^\d{1,4}$/.test(text)) throw new SampanError('Invalid', `SAMPAN_POOL=${text} is no count; wanted 0 to 9999`);
  return { pool: Number(text), reserve: 0, mostPool: Number(text) };
}
