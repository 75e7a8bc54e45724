/**
 * Many callers, few processes: what arrives while a command runs goes out together with the next one. A lone caller never waits.
 */
export class Coalescer<Item> {
  readonly #work: (items: Item[]) => Promise<(Error | undefined)[]>;
  readonly #maxItems: number;
  #waiting: { item: Item; settle: (error: Error | undefined) => void }[] = [];
  #running = false;

  /** `work` answers for each item: undefined, or why it failed. When it throws, all of them failed. */
  constructor(work: (items: Item[]) => Promise<(Error | undefined)[]>, maxItems = 64) {
    this.#work = work;
    this.#maxItems = maxItems;
  }

  run(item: Item): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, settle: (error) => (error ? reject(error) : resolve()) });
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#maxItems);
      const errors = await this.#work(batch.map((entry) => entry.item)).catch((error: Error) => batch.map(() => error));
      for (const [index, entry] of batch.entries()) entry.settle(errors[index]);
    }
    this.#running = false;
  }
}
