/** A container's log as the body of an answer. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { NodeGateway, PodKey } from '../../node/gateway.ts';
import { readLogOptions } from './options.ts';

export interface LogCall {
  pod: PodKey;
  /** Named by the client, or the Pod's default. */
  container: string;
  /** PodLogOptions as the client put them. */
  query: URLSearchParams;
  response: ServerResponse;
  gateway: NodeGateway;
  log: Logger;
  clock: Clock;
}

/** Resolves when the log has ended or the client has left. Throws only while nothing was answered. */
export async function handleLog({ pod, container, query, response, gateway, log, clock }: LogCall): Promise<void> {
  const options = readLogOptions(query, container, clock.now());
  const left = new AbortController();
  response.once('close', () => left.abort());
  // A client that vanishes without a word is found out by the kernel while a followed log is silent.
  response.socket?.setKeepAlive(true, 30_000);
  const lines = await gateway.logs(pod, options, left.signal);
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  try {
    for await (const chunk of lines) {
      if (left.signal.aborted) return;
      if (!response.write(chunk)) await once(response, 'drain', { signal: left.signal });
    }
    response.end();
  } catch (error) {
    if (left.signal.aborted) return;
    log.warn({ pod: pod.name, container, error: messageOf(error) }, 'a log broke off');
    // Half an answer has gone out: breaking the connection is the only way left to say that it is not the whole.
    response.destroy();
  }
}
