/**
 * The one error type of Sampan. It owns the closed list of reasons and their meaning as HTTP codes;
 * the gRPC codes stand with the CRI front door. Nothing here knows who raises an error or who prints it.
 */

/** HTTP status of each reason; names are Kubernetes' StatusReason where Kubernetes has one (meta/v1 types). */
export const httpStatusOf = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  /** What was asked exists in the API but this build does not do it; the message names the field or call. */
  Unsupported: 422,
  /** The object is not in a state in which the call is legal; the message names both states. */
  FailedPrecondition: 409,
  TooManyRequests: 429,
  /** A full disk, no free address, no memory left on the node. */
  ResourceExhausted: 507,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
} as const;

export type Reason = keyof typeof httpStatusOf;

/** One cause of an Invalid answer (meta/v1 StatusCause): `field` is a path such as `spec.containers[0].name`. */
export interface Cause {
  reason: string;
  message: string;
  field?: string;
}

/** What the error is about, for the answer's `details` (meta/v1 StatusDetails). */
export interface ErrorDetails {
  group?: string;
  kind?: string;
  name?: string;
  uid?: string;
  causes?: Cause[];
  retryAfterSeconds?: number;
  /** Where a list that can no longer be shown as of one moment may go on all the same (ListMeta). */
  continue?: string;
}

export class SampanError extends Error {
  readonly reason: Reason;
  readonly details: ErrorDetails;

  constructor(reason: Reason, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SampanError';
    this.reason = reason;
    this.details = details;
  }

  get httpStatus(): number {
    return httpStatusOf[this.reason];
  }
}

/** True when `error` is a SampanError, and of `reason` where one is given. */
export function isReason(error: unknown, ...reasons: Reason[]): error is SampanError {
  return error instanceof SampanError && (reasons.length === 0 || reasons.includes(error.reason));
}

/** The message of anything thrown, for logs and events. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
