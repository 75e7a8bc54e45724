/** What a Pod wants of the network, as CNI's conventions for runtimes name it (CONVENTIONS.md, "Dynamic Plugin specific fields"). Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import { z } from 'zod';
import type { AttachRequest } from '../network.ts';
import type { Chain } from './cni-config.ts';

/** Bits that may go at once: an eighth of a second's worth, and room for a few of the longest packets (64 KiB), or nothing would pass at all. */
const burstOf = (rate: number): number => Math.min(2 ** 31 - 1, Math.max(2 ** 21, Math.round(rate / 8)));

/** Throws Invalid naming an annotation that cannot be read, Unsupported for what no plugin of the chain can do. */
export function capabilitiesOf(request: AttachRequest, chain: Chain): Record<string, unknown> {
  const { annotations = {}, portMappings = [], dns } = request;
  const capabilities = {
    portMappings: portMappings.length
      ? portMappings.map(({ hostIp, ...mapping }) => ({ ...mapping, ...(hostIp ? { hostIP: hostIp } : {}) }))
      : undefined,
    bandwidth: bandwidthOf(annotations),
    dns,
    ips: listOf(annotations, 'sampan.dev/ips'),
    mac: annotations['sampan.dev/mac'],
    'io.kubernetes.cri.pod-annotations': annotations,
  };
  for (const wanted of ['portMappings', 'bandwidth', 'ips', 'mac'] as const)
    if (capabilities[wanted] !== undefined && !chain.plugins.some((plugin) => plugin.capabilities?.[wanted]))
      throw new SampanError(
        'Unsupported',
        `Pod ${request.podNamespace}/${request.podName} wants ${wanted}, and no plugin of the CNI network ${chain.name} has that capability`,
      );
  return capabilities;
}

function bandwidthOf(annotations: Record<string, string>): object | undefined {
  const rate = (direction: 'ingress' | 'egress') => {
    const key = `kubernetes.io/${direction}-bandwidth`;
    const text = annotations[key];
    if (text === undefined) return {};
    const bits = tryParseQuantity(text)?.value();
    // kubelet's bounds, pkg/util/bandwidth.
    if (bits === undefined || bits < 1_000 || bits > 1e15)
      throw new SampanError('Invalid', `annotation ${key} is "${text}"; wanted a rate from 1k to 1P bits a second`);
    return { [`${direction}Rate`]: Math.round(bits), [`${direction}Burst`]: burstOf(bits) };
  };
  const rates = { ...rate('ingress'), ...rate('egress') };
  return Object.keys(rates).length > 0 ? rates : undefined;
}

function listOf(annotations: Record<string, string>, key: string): string[] | undefined {
  if (annotations[key] === undefined) return undefined;
  try {
    return z.array(z.string().max(64)).max(16).parse(JSON.parse(annotations[key]));
  } catch {
    throw new SampanError('Invalid', `annotation ${key} is no JSON list of addresses`);
  }
}

/** CNI_ARGS as kubelet's runtimes give them; names are DNS labels and ids, so nothing in them needs quoting. */
export const cniArgs = ({ sandboxId, podNamespace, podName, podUid }: AttachRequest): string =>
  [
    'IgnoreUnknown=1',
    `K8S_POD_NAMESPACE=${podNamespace}`,
    `K8S_POD_NAME=${podName}`,
    `K8S_POD_INFRA_CONTAINER_ID=${sandboxId}`,
    `K8S_POD_UID=${podUid}`,
  ].join(';');
