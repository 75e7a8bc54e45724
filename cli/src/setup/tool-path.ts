/** Where tools are looked for: a shell's PATH, root's own folders, and Rust as its makers install it, which a PATH often lacks. Each once. */
import { delimiter, join } from 'node:path';

export function toolPath(): string {
  const homeCargo = join(process.env.HOME ?? '/root', '.cargo/bin');
  return [...new Set([...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', homeCargo])].join(delimiter);
}
