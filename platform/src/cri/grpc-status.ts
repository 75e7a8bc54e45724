/** Errors as gRPC carries them: kubelet and crictl look at the code, people at the message. */
import { status } from '@grpc/grpc-js';
import { messageOf, type Reason, SampanError } from '@sampan/api/errors.ts';

/** As containerd's errdefs maps the same faults, which kubelet has come to expect. */
export const grpcCodeOf: Record<Reason, status> = {
  BadRequest: status.INVALID_ARGUMENT,
  Unauthorized: status.UNAUTHENTICATED,
  Forbidden: status.PERMISSION_DENIED,
  NotFound: status.NOT_FOUND,
  MethodNotAllowed: status.UNIMPLEMENTED,
  NotAcceptable: status.INVALID_ARGUMENT,
  AlreadyExists: status.ALREADY_EXISTS,
  Conflict: status.ABORTED,
  Expired: status.OUT_OF_RANGE,
  RequestEntityTooLarge: status.RESOURCE_EXHAUSTED,
  UnsupportedMediaType: status.INVALID_ARGUMENT,
  Invalid: status.INVALID_ARGUMENT,
  Unsupported: status.UNIMPLEMENTED,
  FailedPrecondition: status.FAILED_PRECONDITION,
  TooManyRequests: status.RESOURCE_EXHAUSTED,
  ResourceExhausted: status.RESOURCE_EXHAUSTED,
  InternalError: status.INTERNAL,
  ServiceUnavailable: status.UNAVAILABLE,
  Timeout: status.DEADLINE_EXCEEDED,
};

/** HTTP/2 trailers have little room. */
const maxMessage = 3000;

export function grpcStatus(error: unknown): { code: status; details: string } {
  const code = error instanceof SampanError ? grpcCodeOf[error.reason] : status.UNKNOWN;
  return { code, details: messageOf(error).slice(0, maxMessage) };
}
