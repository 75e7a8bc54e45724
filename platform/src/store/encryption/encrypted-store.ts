/**
 * A store whose values under some prefixes are encrypted at rest; who reads and writes through it sees them plain.
 * It owns which values are encrypted and that none is left under an old key. A value that cannot be read is handed on as it stands: one
 * broken key must not hide the others.
 */
import { isReason } from '@sampan/api/errors.ts';
import type { Entry, ListPage, Store, StoreEvent } from '../store.ts';
import type { EncryptionKey } from './keys.ts';
import { keyIdOf, seal, unseal } from './sealing.ts';

export interface EncryptionOptions {
  /** The first is written with. */
  keys: readonly [EncryptionKey, ...EncryptionKey[]];
  /** Of keys whose values are encrypted, such as `/registry/core/secrets/`. */
  prefixes: readonly string[];
}

const pageSize = 200;

export function encryptedStore(store: Store, { keys, prefixes }: EncryptionOptions): Store {
  const covers = (key: string) => prefixes.some((prefix) => key.startsWith(prefix));
  const plain = (key: string, value: Uint8Array): Uint8Array => {
    try {
      return covers(key) ? unseal(keys, key, value) : value;
    } catch {
      return value;
    }
  };
  const plainEntry = (entry: Entry): Entry =>
    covers(entry.key) ? { ...entry, value: plain(entry.key, entry.value) } : entry;
  const plainEvent = (event: StoreEvent): StoreEvent => {
    if (!covers(event.key)) return event;
    const { key, value, previous } = event;
    return { ...event, value: value && plain(key, value), ...(previous ? { previous: plain(key, previous) } : {}) };
  };
  return {
    async get(key) {
      const entry = await store.get(key);
      return entry && plainEntry(entry);
    },
    async list(prefix, options): Promise<ListPage> {
      const page = await store.list(prefix, options);
      return { ...page, entries: page.entries.map(plainEntry) };
    },
    commit: (writes) =>
      store.commit(
        writes.map((write) =>
          write.value && covers(write.key) ? { ...write, value: seal(keys[0], write.key, write.value) } : write,
        ),
      ),
    async *watch(prefix, after, signal) {
      for await (const batch of store.watch(prefix, after, signal)) yield batch.map(plainEvent);
    },
    revision: () => store.revision(),
    compact: (revision) => store.compact(revision),
    close: () => store.close(),
  };
}

/**
 * Writes again what is plain or under another key than the first; `store` is the one beneath. Idempotent, and safe beside other writers.
 * Throws FailedPrecondition for a value no key of ours opens. Returns how many were written.
 */
export async function sealAgain(store: Store, { keys, prefixes }: EncryptionOptions): Promise<number> {
  let written = 0;
  for (const prefix of prefixes) {
    for await (const { key, value, modRevision } of entriesOf(store, prefix)) {
      if (keyIdOf(value) === keys[0].id) continue;
      const sealed = seal(keys[0], key, unseal(keys, key, value));
      try {
        await store.commit([{ key, value: sealed, expect: modRevision }]);
        written++;
      } catch (error) {
        // Whoever was faster wrote it with a key of his.
        if (!isReason(error, 'Conflict')) throw error;
      }
    }
  }
  return written;
}

/** Ids of the keys that values under the prefixes are encrypted with. */
export async function keyIdsIn(store: Store, prefixes: readonly string[]): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const prefix of prefixes) {
    for await (const { value } of entriesOf(store, prefix)) {
      const id = keyIdOf(value);
      if (id) ids.add(id);
    }
  }
  return ids;
}

async function* entriesOf(store: Store, prefix: string): AsyncGenerator<Entry> {
  let after: string | undefined;
  for (let more = true; more; ) {
    const page = await store.list(prefix, { limit: pageSize, ...(after ? { after } : {}) });
    yield* page.entries;
    more = page.more;
    after = page.entries.at(-1)?.key;
  }
}
