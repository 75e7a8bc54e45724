/** `sampan logs`: the output of a container, as the API gives it. */
import { pipeline } from 'node:stream/promises';
import { connection } from '../connect.ts';
import type { Credentials } from '../credentials.ts';
import { defaultContainer } from '../default-container.ts';
import { connectionLost, Failure } from '../failure.ts';
import { open } from '../https.ts';
import { startedContainer } from '../started-container.ts';

export interface LogsOptions {
  follow?: boolean;
  container?: string;
  tail?: string;
  since?: string;
  timestamps?: boolean;
  previous?: boolean;
  namespace: string;
}

export async function logs(pod: string, options: LogsOptions): Promise<void> {
  const { client, credentials } = await connection();
  const { namespace } = options;
  const container =
    options.follow && !options.previous
      ? await startedContainer(client, { pod, namespace, container: options.container })
      : (options.container ?? (await defaultContainer(client, pod, namespace)));
  await copyLogs(credentials, pod, { ...options, container });
}

/** Copies a log to stdout until it ends (with follow: until the container has ended). */
export async function copyLogs(credentials: Credentials, pod: string, options: LogsOptions): Promise<void> {
  const query = logQuery(options);
  const path = `/api/v1/namespaces/${options.namespace}/pods/${encodeURIComponent(pod)}/log?${query}`;
  const body = await open(credentials, { path, headers: { accept: '*/*' } });
  await pipeline(body, process.stdout, { end: false }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ECONNRESET' ? connectionLost('the server ended while the log was read') : error;
  });
}

/** What PodLogOptions calls them. Pure. */
export function logQuery(options: LogsOptions): URLSearchParams {
  const query = new URLSearchParams();
  if (options.follow) query.set('follow', 'true');
  if (options.previous) query.set('previous', 'true');
  if (options.container) query.set('container', options.container);
  if (options.timestamps) query.set('timestamps', 'true');
  if (options.tail !== undefined && options.tail !== 'all') query.set('tailLines', lines(options.tail));
  if (options.since !== undefined) query.set('sinceSeconds', String(seconds(options.since)));
  return query;
}

function lines(text: string): string {
  if (/^\d{1,9}$/.test(text)) return text;
  throw new Failure(`--tail ${text} is no number of lines`, { why: 'wanted 0 or more', mend: '--tail 20, or all' });
}

function seconds(text: string): number {
  const [, hours = 0, minutes = 0, rest = 0] = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(text) ?? [];
  const sum = Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
  if (sum > 0) return sum;
  throw new Failure(`--since ${text || "''"} is no time span`, {
    why: 'wanted hours, minutes and seconds',
    mend: '--since 90s, --since 10m or --since 1h30m',
  });
}
