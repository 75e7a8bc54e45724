/** `sampan exec`: runs a command in a running container; the exit code is passed through. */
import { connection } from '../connect.ts';
import { defaultContainer } from '../default-container.ts';
import { streamStdio } from '../stream.ts';
import { hasTerminal } from '../terminal.ts';

export interface ExecOptions {
  interactive?: boolean;
  tty?: boolean;
  container?: string;
  namespace: string;
}

export async function exec(pod: string, command: string[], options: ExecOptions): Promise<void> {
  const { client, credentials } = await connection();
  const tty = hasTerminal(options);
  const query = new URLSearchParams(command.map((part) => ['command', part]));
  query.set('stdout', 'true');
  if (!tty) query.set('stderr', 'true');
  if (options.interactive) query.set('stdin', 'true');
  if (tty) query.set('tty', 'true');
  query.set('container', options.container ?? (await defaultContainer(client, pod, options.namespace)));
  const path = `/api/v1/namespaces/${options.namespace}/pods/${encodeURIComponent(pod)}/exec?${query}`;
  process.exitCode = await streamStdio(credentials, path, {
    stdin: Boolean(options.interactive),
    tty,
  });
}
