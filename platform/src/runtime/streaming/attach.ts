/** Attach: the container's live output, and its stdin where it keeps one open. */
import type { Context } from '../context.ts';
import type * as cri from '../generated/cri.ts';
import type { StreamSession } from '../runtime.ts';
import { running } from './exec.ts';

export async function attach(context: Context, request: cri.AttachRequest): Promise<StreamSession> {
  const { container } = await running(context, request.containerId);
  const { config } = container.record;
  const sandbox = context.sandboxOf(container);
  const agent = async () => sandbox.link!.ready();
  const live = container.pump!.live.subscribe();
  const detached = Promise.withResolvers<void>();
  const stdin = new WritableStream<Uint8Array>({
    write: async (data) => (await agent()).writeStdin(container.id, data),
    // The first client that leaves takes stdin along only where the Pod says so.
    close: async () => {
      if (config.stdinOnce) await (await agent()).closeStdin(container.id);
    },
  });
  const exited = Promise.race([container.exited.promise, detached.promise]).then(() => {
    live[Symbol.dispose]();
    return { exitCode: container.record.exit?.exitCode ?? 0 };
  });
  return {
    ...(request.stdin && config.stdin ? { stdin } : {}),
    stdout: live.stdout,
    ...(config.tty ? {} : { stderr: live.stderr }),
    resize: async (columns, rows) => (await agent()).resizeTty(container.id, columns, rows),
    exited,
    [Symbol.asyncDispose]: async () => detached.resolve(),
  };
}
