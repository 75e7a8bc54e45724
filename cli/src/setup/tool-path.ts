/** Where build tools are looked for: a shell's PATH, root's own folders, and Rust as its makers install it, which a PATH often lacks. */
import { delimiter, join } from 'node:path';

export function toolPath(): string {
  const homeCargo = join(process.env.HOME ?? '/root', '.cargo/bin');
  return [process.env.PATH ?? '', '/usr/sbin', '/sbin', homeCargo].join(delimiter);
}
