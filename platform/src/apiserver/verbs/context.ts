/** What every verb works with, and what a caller says of its request. */
import type { Kind } from '@sampan/api/kind.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Store } from '../../store/store.ts';
import type { AdmissionChain, AdmissionReader, AdmissionRequest } from '../admission/admission.ts';
import type { UserInfo } from '../auth/user.ts';
import { keyOf, prefixOf } from '../cache/key.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { KindTable } from '../meta/kinds.ts';
import type { Stored } from '../meta/object.ts';
import { shownAs } from '../meta/stored-form.ts';

export interface VerbContext {
  store: Store;
  cache: WatchCache;
  kinds: KindTable;
  admission: AdmissionChain;
  clock: Clock;
  log: Logger;
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** The circumstances of a write. */
export interface Caller {
  user: UserInfo;
  dryRun: boolean;
  fieldManager: string;
  fieldValidation: FieldValidation;
  /** Told to the client in a Warning header. */
  warn(text: string): void;
  /** Noted in the audit log; absent: there is none. */
  note?(key: string, value: string): void;
}

/** Where an object stands. `namespace` is undefined exactly for cluster-scoped kinds. */
export interface Place {
  kind: Kind;
  namespace: string | undefined;
  name: string;
}

/** The object as of every write committed before the call. */
export async function readFresh(context: VerbContext, place: Place): Promise<Stored | undefined> {
  await context.cache.fresh();
  return read(context, place);
}

/** The object as the cache has it. */
export function read(context: VerbContext, { kind, name, namespace }: Place): Stored | undefined {
  const found = context.cache.kind(kind.ref).get(keyOf(kind.ref, name, namespace));
  return found && shownAs(kind, found.object);
}

export function readerOf(context: VerbContext): AdmissionReader {
  const { cache, kinds, clock } = context;
  const known = (ref: Kind['ref']) => kinds.find(ref.group, ref.version, ref.resource) !== undefined;
  return {
    get: (ref, name, namespace) => (known(ref) ? cache.kind(ref).get(keyOf(ref, name, namespace))?.object : undefined),
    *list(ref, namespace) {
      if (!known(ref)) return;
      for (const entry of cache.kind(ref).range(prefixOf(ref, namespace))) yield entry.object;
    },
    refresh: () => cache.fresh(),
    sleep: (ms) => clock.sleep(ms),
  };
}

type Asked = Pick<AdmissionRequest, 'operation' | 'subresource' | 'object' | 'old'>;

export function admissionRequest(context: VerbContext, place: Place, caller: Caller, asked: Asked): AdmissionRequest {
  const { user, dryRun } = caller;
  return {
    ...place,
    ...asked,
    user,
    dryRun,
    warn: (text) => caller.warn(text),
    note: caller.note,
    reader: readerOf(context),
  };
}
