/** What a resolver has to know of Pods whose addresses plugins gave: told from the records, as they are at the time. Pure. */
import type { ResolverOptions } from '../resolver/resolver.ts';
import type { AttachmentRecord } from './attachment-record.ts';

type Records = Iterable<Pick<AttachmentRecord, 'args' | 'attachment'>>;

/** Its address is one of the host's own, which others reach too: only Pods are answered. */
export function podNames(
  records: () => Records,
): Pick<ResolverOptions, 'isPod' | 'ownsReverse' | 'lookup'> & { serves(client: string): boolean } {
  const find = (address: string) => {
    for (const record of records()) if (record.attachment?.ipv4.address === address) return record;
    return undefined;
  };
  return {
    isPod: (address, namespace) => find(address)?.args.split(';').includes(`K8S_POD_NAMESPACE=${namespace}`) ?? false,
    ownsReverse: (address) => find(address) !== undefined,
    lookup: () => undefined,
    serves: (client) => find(client) !== undefined,
  };
}
