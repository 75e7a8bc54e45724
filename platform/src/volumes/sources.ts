/** Where volumes and variables get what they show: API objects, tokens, and what is known of the Pod itself. */
import type { ConfigMap, Pod, Secret } from 'kubernetes-types/core/v1.js';

export interface Token {
  token: string;
  expirationTimestamp: string;
}

/** Asks for a token of a service account, bound to a Pod (TokenRequest). Throws SampanError. */
export type RequestToken = (
  namespace: string,
  serviceAccount: string,
  request: { audience: string; expirationSeconds: number; pod: { name: string; uid: string } },
) => Promise<Token>;

export interface ObjectSource {
  /** Undefined when there is none. Throws SampanError when the API cannot say. */
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
}

/** Facts of a Pod that its spec does not hold, for fieldRef and resourceFieldRef. */
export interface PodFacts {
  pod: Pod;
  nodeName: string;
  hostIPs: string[];
  podIPs: string[];
  /** What a container without a limit is shown to have: the Pod's own machine. */
  machine: { cpuMillicores: number; memoryBytes: number; ephemeralStorageBytes: number };
}
