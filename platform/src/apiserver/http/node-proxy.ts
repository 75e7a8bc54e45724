/** nodes/<name>/proxy/<path>: authorised as the subresource `nodes/proxy`, then handed to the node's server as it is. */
import { SampanError } from '@sampan/api/errors.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import { demand } from '../auth/authorizer.ts';
import { unknownPath } from '../meta/failures.ts';
import { get } from '../verbs/get.ts';
import type { Exchange } from './exchange.ts';
import type { ResourceRequest } from './request-info.ts';
import { attributesOf, type ResourceParts } from './resource-handler.ts';

export function isNodeProxy({ group, resource, subresource, name }: ResourceRequest): boolean {
  return group === '' && resource === 'nodes' && subresource === 'proxy' && name !== '';
}

export async function handleNodeProxy(
  parts: ResourceParts & { gateway: (nodeName: string) => NodeGateway | undefined },
  exchange: Exchange,
  info: ResourceRequest,
): Promise<void> {
  await demand(parts.authorizer, attributesOf(exchange, info));
  const kind = parts.context.kinds.of({ group: '', version: info.version, resource: 'nodes', namespaced: false });
  await get(parts.context, { kind, namespace: undefined, name: info.name });
  const gateway = parts.gateway(info.name);
  if (!gateway) throw new SampanError('ServiceUnavailable', `node ${info.name} does not answer`);
  if (!gateway.proxy) throw unknownPath();
  const url = new URL(`http://node/${info.rest}`);
  url.search = exchange.query.toString();
  await gateway.proxy(exchange.request, exchange.response, url);
}
