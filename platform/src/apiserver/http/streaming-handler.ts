/** log, exec, attach and port-forward up to the hand-over: authorised, the Pod found, its container chosen. */
import type { Duplex } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import { demand } from '../auth/authorizer.ts';
import { badRequest, methodNotAllowed, unknownPath } from '../meta/failures.ts';
import type { StreamingCall, StreamingHook, StreamingRequest } from '../streaming-hook.ts';
import { get } from '../verbs/get.ts';
import type { Exchange } from './exchange.ts';
import type { ResourceRequest } from './request-info.ts';
import { attributesOf, type ResourceParts } from './resource-handler.ts';

export interface StreamingParts {
  /** Of the node of this name. */
  gateway: (nodeName: string) => NodeGateway | undefined;
  streaming: StreamingHook | undefined;
}

interface Upgrade {
  socket: Duplex;
  head: Buffer;
}

const calls = ['log', 'exec', 'attach', 'portforward'];

export function isStreaming({ group, resource, subresource }: ResourceRequest): boolean {
  return group === '' && resource === 'pods' && calls.includes(subresource);
}

export async function handleStreaming(
  parts: StreamingParts & ResourceParts,
  exchange: Exchange,
  info: ResourceRequest,
  upgrade?: Upgrade,
): Promise<void> {
  const call = info.subresource as StreamingCall;
  const logs = call === 'log';
  if (info.verb !== 'get' && (logs || info.verb !== 'create')) throw methodNotAllowed(info);
  // Kubernetes asks for create on exec, attach and portforward whatever the method is; clients may use GET for WebSockets.
  await demand(parts.authorizer, attributesOf(exchange, { ...info, verb: logs ? 'get' : 'create' }));
  if (!info.namespace || !info.name) throw unknownPath();
  const kind = parts.context.kinds.of({ group: '', version: info.version, resource: 'pods', namespaced: true });
  const object = await get(parts.context, { kind, namespace: info.namespace, name: info.name });
  const pod = object as Pod;
  const container = call === 'portforward' ? '' : containerOf(pod, exchange.query.get('container') ?? '');
  if (!logs && !upgrade) throw badRequest('Upgrade request required');
  const request: StreamingRequest = {
    call,
    pod: { namespace: info.namespace, name: info.name, uid: object.metadata.uid ?? '' },
    object,
    container,
    query: exchange.query,
    user: exchange.user,
    gateway: gatewayFor(parts, pod),
    request: exchange.request,
  };
  const { streaming } = parts;
  if (!streaming) throw new SampanError('ServiceUnavailable', `this server offers no ${call}`);
  if (upgrade) await streaming.upgrade(request, upgrade.socket, upgrade.head);
  else await streaming.log(request, exchange.response);
}

function gatewayFor({ gateway }: StreamingParts, pod: Pod): NodeGateway {
  const name = pod.metadata?.name;
  if (!pod.spec?.nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  const found = gateway(pod.spec.nodeName);
  if (!found) throw new SampanError('ServiceUnavailable', `node ${pod.spec.nodeName} of pod ${name} does not answer`);
  return found;
}

const defaultContainerAnnotation = 'kubectl.kubernetes.io/default-container';

/** The container meant, in the order and words of pkg/registry/core/pod. */
export function containerOf(pod: Pod, asked: string): string {
  const names = (list: { name: string }[] | undefined) => (list ?? []).map(({ name }) => name);
  const main = names(pod.spec?.containers);
  const init = names(pod.spec?.initContainers);
  const ephemeral = names(pod.spec?.ephemeralContainers);
  const podName = pod.metadata?.name;
  if (asked) {
    if ([...main, ...init, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${podName}`);
  }
  const preferred = pod.metadata?.annotations?.[defaultContainerAnnotation];
  if (preferred && main.includes(preferred)) return preferred;
  if (main.length === 1) return main[0] as string;
  let message = `a container name must be specified for pod ${podName}, choose one of: [${main.join(' ')}]`;
  if (init.length > 0) message += ` or one of the init containers: [${init.join(' ')}]`;
  if (ephemeral.length > 0) message += ` or one of the ephemeral containers: [${ephemeral.join(' ')}]`;
  throw badRequest(message);
}
