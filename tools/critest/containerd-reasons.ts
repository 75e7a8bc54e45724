/** Why specs do not pass through containerd where that is by design, or cannot be otherwise. The first pattern that matches a spec's name counts. */
import { reasonOf } from './reasons.ts';

interface Reason {
  pattern: RegExp;
  why: string;
  /** Of the setup's name. */
  through?: RegExp;
}

const reasons: Reason[] = [
  {
    pattern: /(?<!non-)recursive readonly/,
    why: "containerd's plugin asks nobody but runc whether mounts can be recursively read-only, and critest skips what is not offered",
  },
  {
    pattern: /Idempotence .* if not found/,
    why: "containerd 1.6's own: it answers NotFound where 2 does not mind",
    through: /1\.6/,
  },
  {
    pattern: /portforward in host network/,
    why: 'refused by name: a machine has a network of its own',
    through: /^(?!.*runc)/,
  },
];

export const reasonThrough = (name: string, setup: string): string | undefined =>
  reasons.find(({ pattern, through }) => pattern.test(name) && (through?.test(setup) ?? true))?.why ??
  reasonOf(name, setup.includes('namespace') ? 'namespace' : 'vm');
