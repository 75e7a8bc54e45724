/** Reasons of ours as gRPC codes, which ttrpc carries and containerd's errdefs knows. */
import { messageOf, type Reason, SampanError } from '@sampan/api/errors.ts';

const codes: Partial<Record<Reason, number>> = {
  BadRequest: 3,
  Invalid: 3,
  Timeout: 4,
  NotFound: 5,
  AlreadyExists: 6,
  Forbidden: 7,
  ResourceExhausted: 8,
  RequestEntityTooLarge: 8,
  FailedPrecondition: 9,
  Unsupported: 12,
  ServiceUnavailable: 14,
};
const internal = 13;

/** A full disk, or a full quota (errno(3)). */
const isFull = (error: unknown): boolean => /^(ENOSPC|EDQUOT)$/.test((error as { code?: string }).code ?? '');

export function statusOf(error: unknown): { code: number; message: string } {
  const reason = error instanceof SampanError ? error.reason : isFull(error) ? 'ResourceExhausted' : 'InternalError';
  const code = codes[reason] ?? internal;
  return { code, message: messageOf(error).slice(0, 8192) };
}
