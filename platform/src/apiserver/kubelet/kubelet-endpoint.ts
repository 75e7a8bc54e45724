/** Where a Node says that its kubelet's server is. Pure. The Node is written by whoever runs it: nothing of it is trusted. */
import { isIP } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';

const schema = z.object({
  addresses: z
    .array(z.object({ type: z.string(), address: z.string() }))
    .max(100)
    .default([]),
  daemonEndpoints: z.object({ kubeletEndpoint: z.object({ Port: z.number().int() }).optional() }).optional(),
});

/** As kubeadm has kube-apiserver prefer them (--kubelet-preferred-address-types): an address needs no name server. */
const preferred = ['InternalIP', 'ExternalIP', 'Hostname', 'InternalDNS', 'ExternalDNS'];

export interface KubeletEndpoint {
  host: string;
  port: number;
}

/** Throws ServiceUnavailable where the Node names no kubelet that could be asked. */
export function kubeletEndpoint(node: { metadata: { name?: string }; status?: unknown }): KubeletEndpoint {
  const parsed = schema.safeParse(node.status ?? {});
  const why = (what: string) => new SampanError('ServiceUnavailable', `node ${node.metadata.name} ${what}`);
  if (!parsed.success) throw why('has a status that cannot be read');
  const { addresses, daemonEndpoints } = parsed.data;
  const port = daemonEndpoints?.kubeletEndpoint?.Port ?? 0;
  if (port < 1 || port > 65_535) throw why("does not answer: it names no port of a kubelet's server");
  const usable = addresses.filter(
    ({ address }) => isIP(address) || /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/i.test(address),
  );
  const host = preferred.map((wanted) => usable.find(({ type }) => type === wanted)?.address).find(Boolean);
  if (!host) throw why("does not answer: it names no address of a kubelet's server");
  return { host, port };
}
