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
    pattern: /support non-recursive readonly mounts/,
    why: "the machine's share is read-only with all that is mounted below it, which is more than was asked for",
  },
  {
    pattern: /portforward in host network/,
    why: 'refused by name: a machine has a network of its own',
    through: /^(?!.*runc)/,
  },
  {
    pattern: /portforward/,
    why: "containerd's plugin dials the loopback of the network namespace on the host, where a machine's processes are not",
  },
];

export const reasonThrough = (name: string, setup: string): string | undefined =>
  reasons.find(({ pattern, through }) => pattern.test(name) && (through?.test(setup) ?? true))?.why ??
  reasonOf(name, setup.includes('namespace') ? 'namespace' : 'vm');
