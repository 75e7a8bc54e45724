/**
 * What all API servers over one store must have alike (authorities, the service accounts' key, the admin's token): kept in the store, under
 * a prefix the API does not serve. The first server that has or makes one puts it there, the others take it into their own directory.
 *
 * Whoever can read the store can read these, as with every Secret in it: reach it over TLS with client certificates.
 */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { Store } from '../../store/store.ts';

const prefix = '/sampan/pki/';
const stored = z.record(z.string(), z.string().max(65_536));

export type SecretFiles = Record<string, string>;

export interface SharedSecrets {
  /**
   * The files of `name` as all servers have them. `mine`: what this server has already; `make`: called when nobody has any.
   * Throws FailedPrecondition when `mine` is not what the others have.
   */
  settle(name: string, mine: SecretFiles | undefined, make: () => Promise<SecretFiles>): Promise<SecretFiles>;
}

export function sharedSecrets(store: Store): SharedSecrets {
  const read = async (name: string): Promise<SecretFiles | undefined> => {
    const entry = await store.get(`${prefix}${name}`);
    return entry && stored.parse(JSON.parse(Buffer.from(entry.value).toString()));
  };
  return {
    async settle(name, mine, make) {
      let theirs = await read(name);
      if (!theirs) {
        const first = mine ?? (await make());
        const value = Buffer.from(JSON.stringify(first));
        try {
          await store.commit([{ key: `${prefix}${name}`, value, expect: 0 }]);
          return first;
        } catch (error) {
          // Another server starts at the same moment and was faster.
          if (!isReason(error, 'Conflict')) throw error;
          theirs = (await read(name)) as SecretFiles;
        }
      }
      if (mine && !isSame(mine, theirs))
        throw new SampanError(
          'FailedPrecondition',
          `this server's "${name}" key is not the one of the other servers over the same store; remove its files to take theirs`,
        );
      return theirs;
    },
  };
}

function isSame(one: SecretFiles, other: SecretFiles): boolean {
  return Object.keys(other).every((key) => one[key] === other[key]);
}
