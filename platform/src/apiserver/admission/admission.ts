/**
 * Admission: what is asked of a write between decoding and the store. Plugins change the object (mutate) or refuse it (validate).
 * Owns the order of calls; each plugin owns one rule. Quotas, limits and tenancy plug in here.
 */
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { Write } from '../../store/store.ts';
import type { UserInfo } from '../auth/user.ts';
import type { Stored } from '../meta/object.ts';

/** What plugins may look at: the cache, as fresh as the write that is being admitted. */
export interface AdmissionReader {
  get(ref: ResourceRef, name: string, namespace?: string): Stored | undefined;
  list(ref: ResourceRef, namespace?: string): Iterable<Stored>;
  /** Waits for what was committed meanwhile. */
  refresh(): Promise<void>;
  sleep(ms: number): Promise<void>;
}

export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  kind: Kind;
  /** '' for the object itself. */
  subresource: string;
  namespace: string | undefined;
  name: string;
  /** In mutate this may be changed in place. Absent for DELETE. */
  object: KubeObject | undefined;
  old: Stored | undefined;
  user: UserInfo;
  dryRun: boolean;
  /** Told to the client in a Warning header. */
  warn(text: string): void;
  /** An annotation of the request's audit event; absent: nobody writes one. */
  note?(key: string, value: string): void;
  reader: AdmissionReader;
  /** Exactly for CREATE and UPDATE. */
  commitment?: Commitment;
}

/** What plugins may have done with the write of the object. */
export interface Commitment {
  /** Written in the transaction that writes the object. When one of these was overtaken, admission begins anew. */
  alongside: Write[];
  /** Called once, when the object was written or given up. */
  onEnd: (() => void)[];
}

/** Both throw SampanError, Forbidden as a rule, to refuse. */
export interface AdmissionPlugin {
  name: string;
  mutate?(request: AdmissionRequest): void | Promise<void>;
  validate?(request: AdmissionRequest): void | Promise<void>;
}

export class AdmissionChain {
  readonly #plugins: readonly AdmissionPlugin[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#plugins = plugins;
  }

  async mutate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) await plugin.mutate?.(request);
  }

  async validate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) await plugin.validate?.(request);
  }
}
