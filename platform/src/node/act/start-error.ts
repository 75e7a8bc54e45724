/** Why a container could not be started, in the words its status and events carry. */
import { messageOf } from '@sampan/api/errors.ts';

export type StartErrorReason =
  | 'CreateContainerConfigError'
  | 'CreateContainerError'
  | 'RunContainerError'
  | 'PostStartHookError'
  | 'ErrImagePull'
  | 'ImagePullBackOff'
  | 'ErrImageNeverPull'
  | 'InvalidImageName'
  | 'ImageInspectError';

export class StartError extends Error {
  readonly reason: StartErrorReason;
  /** When to try again; absent: by the usual delay. */
  readonly retryAtMs?: number;

  constructor(reason: StartErrorReason, message: string, options: { retryAtMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'StartError';
    this.reason = reason;
    if (options.retryAtMs !== undefined) this.retryAtMs = options.retryAtMs;
  }
}

/** Runs `work`; what it throws becomes a StartError with `reason`. */
export async function orStartError<T>(reason: StartErrorReason, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(reason, messageOf(error), { cause: error });
  }
}
