/** Who answers for a node: the part of this process that runs our own, or the node's kubelet. */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import { kubeletClientUser } from '../auth/rbac/component-roles.ts';
import type { CertifiedKey } from '../pki/certificates.ts';
import type { Pki } from '../pki/pki.ts';
import type { VerbContext } from '../verbs/context.ts';
import { get } from '../verbs/get.ts';
import { kubeletEndpoint } from './kubelet-endpoint.ts';
import { kubeletGateway } from './kubelet-gateway.ts';

export interface NodeGatewaysOptions {
  /** Asked at every call: the node may come and go. */
  local: () => NodeGateway | undefined;
  /** The name of the node that `local` is; undefined: it answers for all. */
  localNode: string | undefined;
  context: VerbContext;
  pki: Pki;
  /** PEM: whose kubelets alone are believed. Absent: anybody's, as kube-apiserver does. */
  kubeletAuthority?: string;
  clock: Clock;
  log: Logger;
}

const dayMs = 86_400_000;

export function nodeGateways(options: NodeGatewaysOptions): (nodeName: string) => NodeGateway | undefined {
  const { local, localNode, context, pki, kubeletAuthority, clock, log } = options;
  let issued: { pair: Promise<CertifiedKey>; untilMs: number } | undefined;
  const credentials = () => {
    if (!issued || clock.now() > issued.untilMs) {
      const pair = pki.issueClient({ commonName: kubeletClientUser }, 2 * dayMs);
      pair.catch(() => {
        issued = undefined;
      });
      issued = { pair, untilMs: clock.now() + dayMs };
    }
    return issued.pair;
  };
  const endpoint = async (name: string) => {
    const kind = context.kinds.of({ group: '', version: 'v1', resource: 'nodes', namespaced: false });
    const node = await get(context, { kind, namespace: undefined, name }).catch((error) => {
      if (!isReason(error, 'NotFound')) throw error;
      throw new SampanError('ServiceUnavailable', `node ${name} does not answer: there is no such Node`);
    });
    return kubeletEndpoint(node);
  };
  return (nodeName) => {
    if (localNode === undefined || nodeName === localNode) return local();
    const authority = kubeletAuthority ? { authority: kubeletAuthority } : {};
    return kubeletGateway({ endpoint: () => endpoint(nodeName), credentials, ...authority, log, clock });
  };
}
