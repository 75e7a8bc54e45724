/** Why specs do not pass where that is by design, or cannot be otherwise. The first pattern that matches a spec's name counts. */
import type { Handler } from './results.ts';

interface Reason {
  pattern: RegExp;
  why: string;
  /** Under this handler alone. */
  handler?: Handler;
}

const reasons: Reason[] = [
  {
    pattern: /image with digest should be pulled/,
    why: 'asks for the bytes of an image that only its makers have; pulling by digest is tried in `images-registry.test.ts`',
  },
  {
    pattern: /HostPID|HostIpc is true|HostNetwork is true|portforward in host network/,
    why: "refused by name: a VM has spaces of its own; handler `namespace` has the host's",
    handler: 'vm',
  },
  {
    pattern: /'rshared'/,
    why: "refused by name: what a VM's kernel mounts, the host's cannot; handler `namespace` does it",
    handler: 'vm',
  },
  { pattern: /AppArmor/, why: "the kernel tried on is without AppArmor, and so are the guests'" },
  {
    pattern: /UserNamespaces/,
    why: 'not offered, and refused by name: it is the machine that keeps root apart, and handler `namespace` is for trusted work',
  },
];

export const reasonOf = (name: string, handler: Handler): string | undefined =>
  reasons.find((reason) => reason.pattern.test(name) && (reason.handler ?? handler) === handler)?.why;
