/** The host's own resolvers, as /etc/resolv.conf names them now. Read again when the file changes; nothing is cached but the file. */
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Clock } from '../../base/clock.ts';

export interface Upstream {
  address: string;
  port: number;
}

const checkPeriodMs = 2000;
/** glibc's MAXNS. */
const maxUpstreams = 3;

export class HostUpstreams {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #notThese: Set<string>;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #changedAt = 0;
  #upstreams: Upstream[] = [];

  /** `notThese`: addresses of our own, which would make a loop. */
  constructor(clock: Clock, notThese: string[], path = '/etc/resolv.conf') {
    this.#clock = clock;
    this.#notThese = new Set(notThese);
    this.#path = path;
  }

  /** Empty when the host has none. */
  async get(): Promise<Upstream[]> {
    const now = this.#clock.monotonicMs();
    if (now - this.#checkedAt < checkPeriodMs) return this.#upstreams;
    this.#checkedAt = now;
    try {
      const changedAt = (await stat(this.#path)).mtimeMs;
      if (changedAt !== this.#changedAt) this.#upstreams = this.#parse(await readFile(this.#path, 'utf8'));
      this.#changedAt = changedAt;
    } catch {
      this.#upstreams = [];
    }
    return this.#upstreams;
  }

  #parse(text: string): Upstream[] {
    const addresses = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
    return addresses
      .filter((address) => isIP(address) !== 0 && !this.#notThese.has(address))
      .slice(0, maxUpstreams)
      .map((address) => ({ address, port: 53 }));
  }
}
