/** placeholder until the streaming room lands */
import type { Logger } from '../base/log.ts';
import type { StreamingHook } from '../apiserver/streaming-hook.ts';
export function createStreamingHook(_log: Logger): StreamingHook | undefined {
  return undefined;
}
