/** What a Pod is called inside. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';

export const clusterDomain = 'cluster.local';

export interface PodName {
  /** What `hostname` prints. */
  hostname: string;
  /** Without a domain. */
  short: string;
  /** Given by hostname and subdomain; absent without a subdomain. */
  fqdn?: string;
}

/** The kernel's limit for a host name. */
const longestHostname = 64;

/** Throws Invalid when setHostnameAsFQDN asks for a name the kernel cannot take. */
export function podHostname(pod: Pod): PodName {
  const { hostname, subdomain, setHostnameAsFQDN } = pod.spec ?? {};
  const short = hostname || truncate(pod.metadata?.name ?? '');
  if (!subdomain) return { hostname: short, short };
  const fqdn = `${short}.${subdomain}.${pod.metadata?.namespace}.svc.${clusterDomain}`;
  if (!setHostnameAsFQDN) return { hostname: short, short, fqdn };
  if (fqdn.length > longestHostname)
    throw new SampanError(
      'Invalid',
      `Failed to construct FQDN from Pod hostname and cluster domain, FQDN ${fqdn} is too long (${longestHostname} characters is the max, ${fqdn.length} characters requested)`,
    );
  return { hostname: fqdn, short, fqdn };
}

/** A DNS label out of a Pod name, which may be longer. */
const truncate = (name: string): string => name.slice(0, 63).replace(/[-.]+$/, '');
