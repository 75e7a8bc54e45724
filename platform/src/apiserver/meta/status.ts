/** meta/v1 Status: how an error or a success without an object is told to clients. */
import { type Cause, messageOf, type Reason, SampanError } from '@sampan/api/errors.ts';

export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, unknown>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: {
    name?: string;
    group?: string;
    kind?: string;
    uid?: string;
    causes?: Cause[];
    retryAfterSeconds?: number;
  };
  code: number;
}

/** Reasons of ours that Kubernetes' clients know under another name. */
const kubernetesReason: Partial<Record<Reason, string>> = { Unsupported: 'Invalid', FailedPrecondition: 'Conflict' };

/** Anything thrown, as a Status. What is no SampanError is our own fault: 500, and the caller logs it. */
export function toStatus(error: unknown): Status {
  if (!(error instanceof SampanError)) {
    const message = `Internal error occurred: ${messageOf(error)}`;
    return { ...failure(500), message, reason: 'InternalError', details: { causes: [{ reason: '', message }] } };
  }
  const { continue: token, ...about } = error.details;
  const details = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined && value !== ''));
  return {
    ...failure(error.httpStatus),
    ...(token ? { metadata: { continue: token } } : {}),
    message: error.message,
    reason: kubernetesReason[error.reason] ?? error.reason,
    ...(Object.keys(details).length > 0 ? { details } : {}),
  };
}

function failure(code: number): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code };
}

export function success(details: NonNullable<Status['details']>, code = 200): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code };
}
