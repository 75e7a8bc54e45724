/** How an exec or attach ended, as the metav1.Status that goes over the error stream. Pure. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';

export interface CommandStatus {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Success' | 'Failure';
  reason?: string;
  message?: string;
  details?: object;
  code?: number;
}

const base = { kind: 'Status', apiVersion: 'v1', metadata: {} } as const;

export const success: CommandStatus = { ...base, status: 'Success' };

/** kubelet's form; clients take the exit code from the cause (k8s.io/apimachinery remotecommand constants). */
export function exitStatus(exitCode: number): CommandStatus {
  if (exitCode === 0) return success;
  return {
    ...base,
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

/** The command could not be run, or its connection broke. */
export function failureStatus(error: unknown): CommandStatus {
  if (!(error instanceof SampanError)) {
    return { ...base, status: 'Failure', reason: 'InternalError', message: messageOf(error), code: 500 };
  }
  const { reason, message, details, httpStatus } = error;
  return { ...base, status: 'Failure', reason, message, details, code: httpStatus };
}

/** Before version 4 of the protocol the error stream carried words, and nothing when all went well. */
export const asWords = (status: CommandStatus): string =>
  status.status === 'Success' ? '' : (status.message ?? 'failed');
