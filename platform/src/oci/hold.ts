/** `hold`: a holder that has lost its connection (this service was restarted) comes back to be told how its process ends. */
import { SampanError } from '@sampan/api/errors.ts';
import { holderOf, serveHolder } from './held-process.ts';
import type { LineConnection } from './line-connection.ts';
import type { OciContext } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';

export async function hold(context: OciContext, connection: LineConnection, params: unknown): Promise<void> {
  const { root, id, pid, process } = parse(requests.hold, params);
  const holder = await holderOf(pid);
  if (process !== undefined) {
    const ref = context.execs.get(pid);
    if (!ref) throw new SampanError('NotFound', `no process of container ${id} is held by ${pid}`);
    return serveHolder(context, connection, holder, ref);
  }
  const record = context.records.find(root, id);
  if (record.holder.pid !== pid) throw new SampanError('NotFound', `container ${id} is held by another process`);
  await serveHolder(context, connection, holder, { containerId: record.key });
}
