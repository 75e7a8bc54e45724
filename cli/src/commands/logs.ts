/** `sampan logs`: the output of a container, as the API gives it. */
import { pipeline } from 'node:stream/promises';
import { connection } from '../connect.ts';
import type { Credentials } from '../credentials.ts';
import { defaultContainer } from '../default-container.ts';
import { open } from '../https.ts';

export interface LogsOptions {
  follow?: boolean;
  container?: string;
  tail?: string;
  previous?: boolean;
  namespace: string;
}

export async function logs(pod: string, options: LogsOptions): Promise<void> {
  const { client, credentials } = await connection();
  const container = options.container ?? (await defaultContainer(client, pod, options.namespace));
  await copyLogs(credentials, pod, { ...options, container });
}

/** Copies a log to stdout until it ends (with follow: until the container has ended). */
export async function copyLogs(credentials: Credentials, pod: string, options: LogsOptions): Promise<void> {
  const query = new URLSearchParams();
  if (options.follow) query.set('follow', 'true');
  if (options.previous) query.set('previous', 'true');
  if (options.container) query.set('container', options.container);
  if (options.tail !== undefined) query.set('tailLines', options.tail);
  const path = `/api/v1/namespaces/${options.namespace}/pods/${encodeURIComponent(pod)}/log?${query}`;
  const body = await open(credentials, { path, headers: { accept: '*/*' } });
  await pipeline(body, process.stdout, { end: false });
}
