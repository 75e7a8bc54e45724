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
    pattern: /Privileged is true|support adding (ALL )?capabilit/,
    why: "has the capability; the test makes a bridge with it, and the guest's kernel brings no driver of bridges",
    handler: 'vm',
  },
  {
    pattern: /seccomp/,
    why: 'refused by name: seccomp profiles of kind Localhost are not read; RuntimeDefault and Unconfined are served',
  },
  {
    pattern: /support non-recursive readonly mounts/,
    why: 'a directory shared read-only with a VM is read-only with all that is mounted below it, which is more than was asked for',
    handler: 'vm',
  },
  { pattern: /'rshared'/, why: 'Bidirectional propagation is refused by name' },
  { pattern: /AppArmor/, why: 'the host is without AppArmor' },
  { pattern: /UserNamespaces/, why: 'user namespaces are not offered' },
  { pattern: /SupplementalGroupsPolicy/, why: 'is not offered: groups of the image are always merged' },
  { pattern: /recursive readonly/, why: 'is not offered' },
];

export const reasonOf = (name: string, handler: Handler): string | undefined =>
  reasons.find((reason) => reason.pattern.test(name) && (reason.handler ?? handler) === handler)?.why;
