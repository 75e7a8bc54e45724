/**
 * A node whose kubelet is not ours, as a NodeGateway: its server's API over HTTPS (pkg/kubelet/server), asked as kube-apiserver asks it.
 * Owns what the paths and queries are; the sessions are kubelet-sessions.ts's.
 */
import { pipeline } from 'node:stream/promises';
import type { Logger } from '../../base/log.ts';
import type { ExecOptions, LogOptions, NodeGateway, PodKey } from '../../node/gateway.ts';
import { withoutOurs } from '../http/passed-headers.ts';
import { KubeletClient, type KubeletClientOptions } from './kubelet-client.ts';
import { openCommand, openForward } from './kubelet-sessions.ts';

export interface KubeletGatewayOptions extends KubeletClientOptions {
  log: Logger;
}

export function kubeletGateway(options: KubeletGatewayOptions): NodeGateway {
  const client = new KubeletClient(options);
  const parts = { client, log: options.log, clock: options.clock };
  return {
    async logs(pod, wanted, signal) {
      return client.get({ path: logPath(pod, wanted), signal });
    },
    exec: (pod, wanted) => openCommand(parts, commandPath('exec', pod, wanted), wanted),
    attach: (pod, wanted) => openCommand(parts, commandPath('attach', pod, wanted), wanted),
    portForward: (pod, port) => openForward(parts, pathOf('portForward', pod), port),
    statsSummary: () => client.json('/stats/summary'),
    async proxy(request, response, url) {
      const { method = 'GET' } = request;
      const headers = withoutOurs(request.headers);
      const isBare = method === 'GET' || method === 'HEAD';
      const path = `${url.pathname}${url.search}`;
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const body = isBare ? {} : { body: request };
      const answer = await client.send({ path, method, headers, ...body, signal: gone.signal });
      response.writeHead(answer.statusCode ?? 502, withoutOurs(answer.headers));
      await pipeline(answer, response).catch(() => {});
    },
  };
}

/** Names were checked when the Pod was made; encoded all the same. */
const pathOf = (call: string, { namespace, name }: PodKey, ...more: string[]): string =>
  `/${[call, namespace, name, ...more].map(encodeURIComponent).join('/')}`;

/** Pure. */
export function logPath(pod: PodKey, options: LogOptions): string {
  const query = new URLSearchParams();
  for (const flag of ['follow', 'previous', 'timestamps'] as const) if (options[flag]) query.set(flag, 'true');
  if (options.tailLines !== undefined) query.set('tailLines', String(options.tailLines));
  if (options.limitBytes !== undefined) query.set('limitBytes', String(options.limitBytes));
  if (options.sinceTime) query.set('sinceTime', options.sinceTime.toISOString());
  return `${pathOf('containerLogs', pod, options.container)}?${query}`;
}

/** Pure. */
export function commandPath(
  call: 'exec' | 'attach',
  pod: PodKey,
  options: Omit<ExecOptions, 'command'> & { command?: string[] },
): string {
  const query = new URLSearchParams((options.command ?? []).map((word) => ['command', word]));
  if (options.stdin) query.set('input', '1');
  if (options.stdout) query.set('output', '1');
  if (options.stderr && !options.tty) query.set('error', '1');
  if (options.tty) query.set('tty', '1');
  return `${pathOf(call, pod, options.container)}?${query}`;
}
