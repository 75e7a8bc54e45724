/** How a command fails: what failed, why, and what to do, with an exit code. */
import { isReason, messageOf } from '@sampan/api/errors.ts';

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

/** Prints an error as people can use it and returns the exit code. */
export function report(error: unknown): number {
  if (error instanceof Failure) {
    process.stderr.write(`sampan: ${error.message}\n  why:  ${error.why}\n  mend: ${error.mend}\n`);
    return error.exitCode;
  }
  const label = isReason(error) ? `${error.reason}: ` : '';
  process.stderr.write(`sampan: ${label}${messageOf(error)}\n`);
  if (process.env.SAMPAN_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return 1;
}
