/**
 * One-time tokens for requests that a client comes back for over HTTP. Unguessable, gone after a minute or the first use, and never more than a
 * thousand at a time: kubelet's own numbers.
 */
import { randomBytes } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';

const lifeMs = 60_000;
const maxTokens = 1000;

export class Tokens<Request> {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #waiting = new Map<string, { request: Request; expiresAt: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws ResourceExhausted when a thousand wait already. */
  issue(request: Request): string {
    this.#expire();
    if (this.#waiting.size >= maxTokens)
      throw new SampanError('ResourceExhausted', `${maxTokens} streaming requests wait already; try again in a minute`);
    const token = randomBytes(32).toString('base64url');
    this.#waiting.set(token, { request, expiresAt: this.#clock.now() + lifeMs });
    return token;
  }

  /** The request, once. */
  take(token: string): Request | undefined {
    this.#expire();
    const found = this.#waiting.get(token);
    this.#waiting.delete(token);
    return found?.request;
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const [token, { expiresAt }] of this.#waiting) {
      if (expiresAt > now) return;
      this.#waiting.delete(token);
    }
  }
}
