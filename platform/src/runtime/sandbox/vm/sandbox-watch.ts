/**
 * What happens to a sandbox by itself: its agent tells of exits, its machine dies, its agent is lost.
 * Owns turning those into the state of containers; not stopping on request (sandbox-stop.ts).
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Machine, MachineExit } from '../../../vmm/vmm.ts';
import type { Agent, AgentEvent } from '../../agent/agent.ts';
import { emitEvent } from '../../containers/container-event.ts';
import { exitOf, finishContainer } from '../../containers/container-finish.ts';
import { reconcileContainers } from '../../containers/container-reconcile.ts';
import type { Context } from '../../context.ts';
import { ContainerEventType } from '../../generated/cri.ts';
import { type SandboxRecord, saveSandbox } from '../../records/sandbox-record.ts';
import { handlerOf } from '../handlers.ts';
import { AgentLink } from './agent-link.ts';
import type { Sandbox } from './sandbox.ts';
import { sandboxSetup } from './sandbox-setup.ts';

const sigkillExit = 137;

/** Connects to the agent of a machine that runs and follows both until they end. */
export function beginSandbox(context: Context, sandbox: Sandbox, machine: Machine, adopted: boolean): void {
  const { clock, log, connectAgent } = context.options;
  sandbox.machine = machine;
  sandbox.link = new AgentLink({
    connect: connectAgent,
    channelPath: machine.channelPath,
    sandboxId: sandbox.id,
    setup: () => sandboxSetup(recordForSetup(sandbox), sandbox.hostname, BigInt(clock.now()) * 1_000_000n),
    adopted,
    onEvent: (event) => onAgentEvent(context, sandbox, event),
    onResumed: (agent: Agent) => reconcileContainers(context, sandbox, agent),
    onLost: (error) => {
      const message = `it was ended because its agent was lost: ${messageOf(error)}`;
      void machineEnded(context, sandbox, { kind: 'killed', message });
      void context
        .vmm(sandbox.record.runtimeHandler)
        .destroy(context.paths.machine(sandbox.id))
        .catch(() => {});
    },
    clock,
    log,
  });
  void machine.exited.then((exit) => {
    // Another may have taken its place (sandbox-shares.ts).
    if (sandbox.machine === machine && !context.closing.signal.aborted) return machineEnded(context, sandbox, exit);
  });
}

/** An image that is attached while the machine starts is bound by whoever attaches it: it may not be there yet. */
function recordForSetup({ record, disks }: Sandbox): SandboxRecord {
  return { ...record, images: Object.fromEntries(Object.entries(record.images).filter(([id]) => !disks.has(id))) };
}

function onAgentEvent(context: Context, sandbox: Sandbox, event: AgentEvent): void {
  if (event.type === 'closed') return;
  const container = sandbox.containers.get(event.containerId);
  if (!container) return;
  if (event.type === 'oom') {
    context.log.info({ sandboxId: sandbox.id, containerId: container.id }, 'out of memory in a container');
    return;
  }
  void finishContainer(context, sandbox, container, exitOf(event.exit));
}

/** A machine that went by itself takes its containers along. Idempotent. */
export async function machineEnded(context: Context, sandbox: Sandbox, exit: MachineExit): Promise<void> {
  if (sandbox.stopping || sandbox.record.state !== 'ready') return;
  const message = describeEnd(machineWord(sandbox), exit);
  sandbox.record.state = 'notready';
  sandbox.record.message = message;
  context.log.warn({ sandboxId: sandbox.id, pod: sandbox.podName, kind: exit.kind }, message);
  letGo(sandbox, new SampanError('ServiceUnavailable', `sandbox ${sandbox.id}: ${message}`));
  try {
    await saveSandbox(context.paths, sandbox.record);
    await failContainers(context, sandbox, message);
  } catch (error) {
    context.log.error({ sandboxId: sandbox.id, error: messageOf(error) }, "cannot record a machine's end");
  }
  emitEvent(context, sandbox, sandbox, ContainerEventType.CONTAINER_STOPPED_EVENT);
}

const machineWord = ({ record }: Sandbox) =>
  handlerOf(record.runtimeHandler) === 'vm' ? 'the VM' : "the Pod's machine on the host";

function describeEnd(machine: string, { kind, message }: MachineExit): string {
  const how = { halted: 'the guest powered off', panicked: 'the guest kernel panicked', killed: 'its process died' }[
    kind
  ];
  const words = message.slice(0, 1024).trim();
  return `${machine} ended: ${how}${words ? `: ${words}` : ''}`;
}

/** Every container that has not exited does so now. */
export async function failContainers(context: Context, sandbox: Sandbox, message: string): Promise<void> {
  const finishedAtNanos = context.nowNanos();
  await Promise.all(
    [...sandbox.containers.values()].map((container) =>
      finishContainer(context, sandbox, container, {
        exitCode: sigkillExit,
        reason: 'Error',
        message,
        finishedAtNanos,
      }),
    ),
  );
}

/** Stops following: the link and the watches. */
export function letGo(sandbox: Sandbox, error: Error): void {
  sandbox.link?.close(error);
  for (const sync of sandbox.syncs.values()) sync[Symbol.dispose]();
  sandbox.syncs.clear();
}
