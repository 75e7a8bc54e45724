/**
 * GetContainerEvents: what happened, with the whole state of the Pod at that moment. A sandbox's own events bear its id where a container's stands, as other
 * runtimes have it: a Pod without containers has a life as well.
 */
import type { Context } from '../context.ts';
import type * as cri from '../generated/cri.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { podSandboxStatusOf } from '../sandbox/vm/sandbox-status.ts';
import type { Container } from './container.ts';
import { containerStatusOf } from './container-status.ts';

export function emitEvent(
  context: Context,
  sandbox: Sandbox,
  whose: Container | Sandbox,
  type: cri.ContainerEventType,
): void {
  if (!context.events.watched) return;
  context.events.publish({
    containerId: whose.id,
    containerEventType: type,
    createdAt: context.nowNanos(),
    podSandboxStatus: podSandboxStatusOf(context, sandbox),
    containersStatuses: [...sandbox.containers.values()].map(containerStatusOf),
  });
}
