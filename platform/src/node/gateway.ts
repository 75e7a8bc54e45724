/**
 * What the API server asks of a node for logs, exec, attach, port-forward and statistics: the kubelet's server API, as an interface.
 * In process it is a call; a remote node serves the same over HTTPS.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { StreamSession } from '../runtime/runtime.ts';

/** PodLogOptions of core/v1. */
export interface LogOptions {
  container: string;
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  tailLines?: number;
  limitBytes?: number;
  sinceTime?: Date;
}

export interface ExecOptions {
  container: string;
  command: string[];
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface PodKey {
  namespace: string;
  name: string;
  uid: string;
}

/** Each throws NotFound (no such Pod or container here), FailedPrecondition or BadRequest (container not running) with kubelet's wording. */
export interface NodeGateway {
  /** Raw log bytes; ends at the end of the log, or with follow when the container ended or `signal` aborts. */
  logs(pod: PodKey, options: LogOptions, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  exec(pod: PodKey, options: ExecOptions): Promise<StreamSession>;
  attach(pod: PodKey, options: Omit<ExecOptions, 'command'>): Promise<StreamSession>;
  portForward(pod: PodKey, port: number): Promise<StreamSession>;
  /** kubelet's stats/summary (k8s.io/kubelet stats/v1alpha1). */
  statsSummary(): Promise<object>;
  /**
   * Any other request to the node's server, by way of nodes/<name>/proxy/<path> (already authorised): /images, /stats/summary, /healthz.
   * `url` has the path below proxy and the query. Throws SampanError before the answer began; NotFound for an unknown path.
   */
  proxy?(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>;
}
