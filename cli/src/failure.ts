/** How a command fails: what failed, why, and what to do, with an exit code. */
import { isReason, messageOf, type SampanError } from '@sampan/api/errors.ts';

export class Failure extends Error {
  readonly why: string;
  readonly mend: string;
  readonly exitCode: number;

  constructor(what: string, options: { why: string; mend: string; exitCode?: number }) {
    super(what);
    this.why = options.why;
    this.mend = options.mend;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Of a stream that ended before what it carries did. */
export const connectionLost = (why: string): Failure =>
  new Failure('the connection was lost', { why, mend: 'try again; ./sampan status tells whether the server runs' });

/** What shells give for a program whose reader has gone (128 + SIGPIPE). */
const readerGone = 141;

const outputErrors = new WeakSet<object>();

/** Who reads our output may go before it is through (`| head -1`). What is piped deals with that itself, a plain write has nobody else. */
export function watchOutput(output: NodeJS.WriteStream = process.stdout): void {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') outputErrors.add(error);
    if (output.listenerCount('error') === 1) process.exit(report(error));
  });
}

/** Prints an error as people can use it and returns the exit code. Of a reader that went nothing is said. */
export function report(error: unknown): number {
  if (error instanceof Error && outputErrors.has(error)) return readerGone;
  if (error instanceof Failure) {
    process.stderr.write(`sampan: ${error.message}\n  why:  ${error.why}\n  mend: ${error.mend}\n`);
    return error.exitCode;
  }
  const label = isReason(error) ? `${error.reason}: ` : '';
  const mend = isReason(error) ? (mends.get(error) ?? mendOf(error)) : undefined;
  process.stderr.write(`sampan: ${label}${messageOf(error)}\n${mend ? `  mend: ${mend}\n` : ''}`);
  if (process.env.SAMPAN_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return 1;
}

/** Of an image that is not for everybody. */
export const registryMend =
  'SAMPAN_REGISTRY_PASSWORD=... ./sampan image pull --user NAME IMAGE; manifests have imagePullSecrets';

const mends = new WeakMap<SampanError, string>();

/** The same error, told with what to do about it: by whoever knows what was asked. */
export function withMend(error: SampanError, mend: string | undefined): SampanError {
  if (mend) mends.set(error, mend);
  return error;
}

/** What to do about an answer of the server's, where that does not follow from its words, whatever was asked. Pure. */
export function mendOf({ reason, details }: SampanError): string | undefined {
  const { kind } = details;
  if (reason === 'NotFound' && kind === 'pods') return './sampan ps -A lists the Pods there are';
  if (reason === 'NotFound' && kind === 'images') return './sampan image ls lists the images there are';
  if (reason === 'NotFound' && kind === 'namespaces') return 'kubectl create namespace makes it; -n names another';
  if (reason === 'AlreadyExists' && kind === 'pods') return './sampan rm removes that one; --name names another';
  return undefined;
}

/** Does `work` for each of them: what fails is told, the others are done all the same, and the exit code is that of a failure. */
export async function forEach(names: string[], work: (name: string) => Promise<void>): Promise<void> {
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      if (error instanceof Failure) throw error;
      process.exitCode = report(error);
    }
  }
}
