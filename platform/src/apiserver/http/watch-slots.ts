/**
 * How many watches may be open over HTTP at a time: each holds a connection and its TLS state, some 80 KiB, for as long as its client likes. Beyond that
 * a client is told to come back later. It owns the count, not the watches.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { masters, nodesGroup, type UserInfo } from '../auth/user.ts';

const defaultMaxWatches = 10_000;
/** Beyond the others': so that whoever has to mend things, and the nodes, still get in when everything is taken. */
const reservedShare = 0.1;
/** Those that are refused come back spread out, not all at once. */
const retryAfterSeconds = { least: 5, most: 30 };

export class WatchSlots {
  readonly #max: number;
  readonly #reserved: number;
  #open = 0;

  constructor(max = defaultMaxWatches) {
    this.#max = max;
    this.#reserved = Math.ceil(max * reservedShare);
  }

  /** Returns what gives the place back; to be called once. Throws TooManyRequests when there is none. */
  take({ groups }: UserInfo): () => void {
    const isNeeded = groups.includes(masters) || groups.includes(nodesGroup);
    if (this.#open >= this.#max + (isNeeded ? this.#reserved : 0)) throw this.#full();
    this.#open += 1;
    return () => {
      this.#open -= 1;
    };
  }

  #full(): SampanError {
    const { least, most } = retryAfterSeconds;
    const wait = least + Math.floor(Math.random() * (most - least + 1));
    const message = `${this.#open} watches are open, and no more are taken now; please try again later`;
    return new SampanError('TooManyRequests', message, { retryAfterSeconds: wait });
  }
}
