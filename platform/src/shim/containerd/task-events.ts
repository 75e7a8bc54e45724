/** Events of the bundle runtime as containerd's. Pure but for looking up what an event does not carry. */
import type { BundleEvent, BundleRuntime } from '../../runtime/bundles/bundle-runtime.ts';
import type { TaskName } from './task-ids.ts';
import * as messages from './task-messages.ts';

export interface TaskEvent {
  topic: string;
  typeUrl: string;
  value: Buffer;
}

/** `pid` is what Create and Start answered: it stays the task's name to the end. */
export function taskEvent(
  event: BundleEvent,
  { id: containerId }: TaskName,
  pid: number,
  bundles: BundleRuntime,
): TaskEvent | undefined {
  const named = (topic: string, type: string): TaskEvent => ({
    topic: `/tasks/${topic}`,
    typeUrl: `containerd.events.${type}`,
    value: messages.taskNamed.encode({ containerId }),
  });
  const of = (topic: string, type: string, value: Buffer) => ({ ...named(topic, type), value });
  switch (event.type) {
    case 'created': {
      const { bundle, stdio, tty } = bundles.container(event.containerId);
      const { stdin = '', stdout = '', stderr = '' } = stdio;
      const io = { stdin, stdout, stderr, terminal: tty };
      return of('create', 'TaskCreate', messages.taskCreate.encode({ containerId, bundle, io, pid }));
    }
    case 'started':
      return of('start', 'TaskStart', messages.taskStart.encode({ containerId, pid }));
    case 'paused':
      return named('paused', 'TaskPaused');
    case 'resumed':
      return named('resumed', 'TaskResumed');
    case 'oom':
      return named('oom', 'TaskOOM');
    case 'deleted':
      return of('delete', 'TaskDelete', messages.taskDelete.encode({ containerId, pid, ...exitOf(event.exit) }));
    case 'exited':
      return of(
        'exit',
        'TaskExit',
        messages.taskExit.encode({ containerId, id: containerId, pid, ...exitOf(event.exit) }),
      );
    case 'exec-added':
      return of('exec-added', 'TaskExecAdded', messages.taskExecAdded.encode({ containerId, execId: event.execId }));
    case 'exec-started': {
      const { execId, guestPid } = event;
      return of(
        'exec-started',
        'TaskExecStarted',
        messages.taskExecStarted.encode({ containerId, execId, pid: guestPid }),
      );
    }
    case 'exec-exited': {
      const { execId: id, exit, guestPid } = event;
      return of('exit', 'TaskExit', messages.taskExit.encode({ containerId, id, pid: guestPid, ...exitOf(exit) }));
    }
    default:
      return undefined;
  }
}

const exitOf = (exit: { exitCode: number; finishedAtUnixNanos: bigint }) => ({
  exitStatus: exit.exitCode,
  exitedAt: messages.timestampOf(exit.finishedAtUnixNanos),
});
