/** Work that several callers want at once is done once; it is called off when the last of them leaves. */

interface Flight<T, P> {
  promise: Promise<T>;
  controller: AbortController;
  users: number;
  listeners: Set<(progress: P) => void>;
}

export class SharedWork<T, P> {
  readonly #flights = new Map<string, Flight<T, P>>();
  /** All that runs, also what nobody waits for any more. */
  readonly #running = new Set<Promise<T>>();

  /** Joins the work named `key` or starts it. Rejects with the signal's reason as soon as this caller's signal aborts. */
  async join(options: {
    key: string;
    signal?: AbortSignal | undefined;
    onProgress?: ((progress: P) => void) | undefined;
    start: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>;
  }): Promise<T> {
    const { key, signal, onProgress } = options;
    signal?.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#launch(key, options.start);
    flight.users++;
    if (onProgress) flight.listeners.add(onProgress);
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([flight.promise, aborted]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (onProgress) flight.listeners.delete(onProgress);
      if (--flight.users === 0) this.#leave(key, flight);
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #launch(key: string, start: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>): Flight<T, P> {
    const controller = new AbortController();
    const listeners = new Set<(progress: P) => void>();
    const report = (progress: P) => {
      for (const listener of listeners) listener(progress);
    };
    // Later, so that whoever starts it hears of its first steps too.
    const promise = Promise.resolve().then(() => start(controller.signal, report));
    const flight = { promise, controller, users: 0, listeners };
    this.#flights.set(key, flight);
    this.#running.add(promise);
    const remove = () => {
      this.#running.delete(promise);
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    promise.then(remove, remove);
    return flight;
  }

  /** Nobody waits any more: who comes next starts anew. */
  #leave(key: string, flight: Flight<T, P>): void {
    if (this.#flights.get(key) !== flight) return;
    this.#flights.delete(key);
    flight.controller.abort();
  }
}
