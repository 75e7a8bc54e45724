/** Which containerd runs our shim: from version 2 on it is told more than an address. Nothing that it says of itself names its version, but for its program. */
import { stat } from 'node:fs/promises';
import { run } from '../../base/child.ts';

const mostKnown = 64;
const known = new Map<string, number>();

/**
 * Its major version, of the process that started the shim; 1, which any containerd understands, when it cannot be told. A program is asked once: a
 * containerd that runs on after its package was changed is still the one that it was.
 */
export async function containerdMajor(pid: number): Promise<number> {
  const program = `/proc/${pid}/exe`;
  try {
    const { dev, ino, mtimeMs } = await stat(program);
    const key = [dev, ino, mtimeMs].join(' ');
    const told = known.get(key) ?? majorOf((await run(program, ['--version'], { timeoutMs: 5_000 })).stdout);
    if (known.size >= mostKnown) known.clear();
    known.set(key, told);
    return told;
  } catch {
    return 1;
  }
}

/** `containerd github.com/containerd/containerd/v2 v2.1.4 <revision>`; distributions add to the number or leave out its v. Pure. */
export function majorOf(words: string): number {
  const major = /^containerd \S+ v?(\d{1,4})\./.exec(words)?.[1];
  return Number(major ?? 1);
}

/** What `start` answers. Pure. */
export function startAnswer(address: string, major: number): Buffer {
  if (major < 2) return Buffer.from(address);
  return Buffer.from(JSON.stringify({ version: 3, address, protocol: 'ttrpc' }));
}
