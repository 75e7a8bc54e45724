/** What etcd's answers mean in our words. Source: etcd api/v3rpc/rpctypes/error.go. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { messageOf, SampanError } from '@sampan/api/errors.ts';

const wordsOf: [RegExp, (text: string) => SampanError][] = [
  [/revision has been compacted/, (text) => new SampanError('Expired', text)],
  [/is a future revision/, (text) => new SampanError('Timeout', text)],
  [/request is too large/, (text) => new SampanError('RequestEntityTooLarge', `${text}: see --max-request-bytes`)],
  [/too many operations/, (text) => new SampanError('BadRequest', `${text}: see etcd's --max-txn-ops`)],
  [/database space exceeded/, (text) => new SampanError('ResourceExhausted', `${text}: see --quota-backend-bytes`)],
];

const refusals = new Set<number>([status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.UNIMPLEMENTED]);

/** Passing by themselves: an election, a restart, a broken connection. */
const passing = new Set<number>([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED, status.ABORTED]);

/** Of a read or a watch: nothing has happened and it may be tried again. */
export function isPassing(error: unknown): boolean {
  if (error instanceof SampanError) return error.reason === 'ServiceUnavailable';
  return passing.has((error as ServiceError).code);
}

export function explain(error: unknown): SampanError {
  if (error instanceof SampanError) return error;
  const { code, details } = error as ServiceError;
  const text = `etcd: ${(details || messageOf(error)).replace(/^etcdserver: /, '')}`;
  for (const [pattern, make] of wordsOf) if (pattern.test(text)) return make(text);
  if (refusals.has(code)) return new SampanError('FailedPrecondition', text, {}, { cause: error });
  if (isPassing(error)) return new SampanError('ServiceUnavailable', text, {}, { cause: error });
  return new SampanError('InternalError', text, {}, { cause: error });
}

/** Of a write that was sent: it may have been made, so nobody but the caller can say whether to try again. */
export function explainWrite(error: unknown): SampanError {
  const explained = explain(error);
  if (explained.reason !== 'ServiceUnavailable' || error instanceof SampanError) return explained;
  return new SampanError(
    'Timeout',
    `${explained.message}; whether the write was made is not known`,
    {},
    { cause: error },
  );
}
