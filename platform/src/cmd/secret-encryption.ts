/**
 * Secrets encrypted at rest: on when SAMPAN_ENCRYPTION_KEY_FILE names a file of keys (store/encryption/keys.ts). A server that lacks a key
 * it would need does not start: it would serve as if there were no such Secrets.
 */
import { readFile } from 'node:fs/promises';
import { resources } from '@sampan/api/client.ts';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { prefixOf } from '../apiserver/cache/key.ts';
import type { Logger } from '../base/log.ts';
import { encryptedStore, keyIdsIn, sealAgain } from '../store/encryption/encrypted-store.ts';
import { type EncryptionKey, parseKeys } from '../store/encryption/keys.ts';
import type { Store } from '../store/store.ts';

export const encryptionKeyFile = 'SAMPAN_ENCRYPTION_KEY_FILE';

/** `path` of the key file; absent: nothing is encrypted. Throws FailedPrecondition. */
export async function withSecretEncryption(store: Store, path: string | undefined, log: Logger): Promise<Store> {
  const prefixes = [prefixOf(resources.secrets)];
  if (!path) {
    const [id] = await keyIdsIn(store, prefixes);
    if (id === undefined) return store;
    const message = `Secrets of this instance are encrypted with key ${id}: name the file that holds it in ${encryptionKeyFile}`;
    throw new SampanError('FailedPrecondition', message);
  }
  const text = await readFile(path, 'utf8').catch((error) => {
    throw new SampanError('FailedPrecondition', `${encryptionKeyFile}: ${messageOf(error)}`);
  });
  const keys = parseKeys(text, path) as [EncryptionKey, ...EncryptionKey[]];
  const written = await sealAgain(store, { keys, prefixes });
  log.info({ key: keys[0].id, keys: keys.length, written }, 'Secrets are encrypted at rest');
  return encryptedStore(store, { keys, prefixes });
}
