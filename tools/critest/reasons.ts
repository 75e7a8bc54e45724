/** Why specs do not pass, where that is by design: what is refused by name, what a machine has not. The first pattern that matches a spec's name counts. */
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
    why: 'asks for the bytes of an image that only its makers have; pulling by digest is tried in `platform/test/integration/images-registry.test.ts`',
  },
];

export const reasonOf = (name: string, handler: Handler): string | undefined =>
  reasons.find((reason) => reason.pattern.test(name) && (reason.handler ?? handler) === handler)?.why;
