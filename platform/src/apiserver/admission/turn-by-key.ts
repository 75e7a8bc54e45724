/** Turns, one after another for each key: what a plugin takes before a write and gives back after it. */
export class TurnByKey {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves with what gives the turn back, once all who asked before have given theirs back. */
  async take(key: string): Promise<() => void> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    await before;
    return () => {
      if (this.#last.get(key) === promise) this.#last.delete(key);
      resolve();
    };
  }
}
