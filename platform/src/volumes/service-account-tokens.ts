/**
 * Tokens of service accounts for the Pods of a node: asked for once, kept until 80% of their life is over, then asked for anew.
 * Kept in memory only: after a restart every Pod gets a fresh one.
 */
import type { Clock } from '../base/clock.ts';
import type { PodFacts, RequestToken } from './sources.ts';

interface Kept {
  token: string;
  refreshAtMs: number;
}

const refreshAfterShare = 0.8;
/** However long a token lives, it is renewed once a day. */
const longestMs = 24 * 3_600_000;

export class ServiceAccountTokens {
  readonly #request: RequestToken;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Map<string, Kept>>();

  constructor(request: RequestToken, clock: Clock) {
    this.#request = request;
    this.#clock = clock;
  }

  /** Throws SampanError when none can be had and the one kept is too old. */
  async get(facts: PodFacts, want: { audience: string; expirationSeconds: number }): Promise<Kept> {
    const { name = '', namespace = '', uid = '' } = facts.pod.metadata ?? {};
    const key = JSON.stringify([want.audience, want.expirationSeconds]);
    const ofPod = this.#kept.get(uid) ?? new Map<string, Kept>();
    const kept = ofPod.get(key);
    const nowMs = this.#clock.now();
    if (kept && nowMs < kept.refreshAtMs) return kept;
    const account = facts.pod.spec?.serviceAccountName || 'default';
    const { token, expirationTimestamp } = await this.#request(namespace, account, { ...want, pod: { name, uid } });
    const lifeMs = Date.parse(expirationTimestamp) - nowMs;
    const fresh = { token, refreshAtMs: nowMs + Math.min(longestMs, Math.max(1000, lifeMs * refreshAfterShare)) };
    this.#kept.set(uid, ofPod.set(key, fresh));
    return fresh;
  }

  forget(uid: string): void {
    this.#kept.delete(uid);
  }
}
