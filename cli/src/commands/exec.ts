/** `sampan exec`: runs a command in a running container; the exit code is passed through. */
import { connection } from '../connect.ts';
import { Failure } from '../failure.ts';
import { startedContainer } from '../started-container.ts';
import { streamStdio } from '../stream.ts';
import { hasTerminal } from '../terminal.ts';

export interface ExecOptions {
  interactive?: boolean;
  tty?: boolean;
  container?: string;
  namespace: string;
  /** What other command lines have and Kubernetes' exec has not. */
  user?: string;
  workdir?: string;
  env?: string;
  detach?: boolean;
}

/** Throws when one of these is asked for: it says how it is done instead. Pure. */
export function refuseExecOptions(options: ExecOptions, words: string): void {
  const why = "Kubernetes' exec starts a command as its container was started";
  const refuse = (option: string, mend: string) => new Failure(`exec has no ${option}`, { why, mend });
  if (options.env !== undefined) throw refuse('-e', `-- env ${options.env} ${words}`);
  if (options.workdir !== undefined) throw refuse('-w', `-- sh -c 'cd ${options.workdir} && ${words}'`);
  if (options.user !== undefined)
    throw refuse(
      '-u',
      `start the Pod with ./sampan run -u UID; where the container is root: -- su ${options.user} -c '${words}'`,
    );
  if (options.detach) throw refuse('-d', `-- sh -c '${words} >/dev/null 2>&1 &'`);
}

export async function exec(pod: string, command: string[], options: ExecOptions): Promise<void> {
  refuseExecOptions(options, command.join(' '));
  const { client, credentials } = await connection();
  const tty = hasTerminal(options);
  const query = new URLSearchParams(command.map((part) => ['command', part]));
  query.set('stdout', 'true');
  if (!tty) query.set('stderr', 'true');
  if (options.interactive) query.set('stdin', 'true');
  if (tty) query.set('tty', 'true');
  const { namespace, container } = options;
  query.set('container', await startedContainer(client, { pod, namespace, container }));
  const path = `/api/v1/namespaces/${options.namespace}/pods/${encodeURIComponent(pod)}/exec?${query}`;
  process.exitCode = await streamStdio(credentials, path, {
    stdin: Boolean(options.interactive),
    tty,
  });
}
