/** `state` and `list`: what is known of containers, as runtime-spec (runtime.md, "State") and runc print it. */
import { isReason } from '@sampan/api/errors.ts';
import type { ContainerRecord } from './container-records.ts';
import type { OciContext } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';

export type OciStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

export function statusOf(context: OciContext, record: ContainerRecord): OciStatus {
  try {
    return context.bundles.container(record.key).state;
  } catch (error) {
    if (isReason(error, 'NotFound')) return 'creating';
    throw error;
  }
}

export async function state(context: OciContext, params: unknown): Promise<{ print: string }> {
  const { root, id } = parse(requests.named, params);
  return { print: JSON.stringify(await stateOf(context, context.records.find(root, id)), undefined, 2) };
}

export async function list(context: OciContext, params: unknown): Promise<{ print: string }> {
  const { root, format, quiet } = parse(requests.list, params);
  const records = context.records
    .all()
    .filter((record) => record.root === root)
    .sort((a, b) => a.createdAtMs - b.createdAtMs);
  const states = await Promise.all(records.map((record) => stateOf(context, record)));
  if (quiet) return { print: states.map(({ id }) => `${id}\n`).join('') };
  if (format === 'json') return { print: JSON.stringify(states) };
  const rows = states.map((one) => [one.id, String(one.pid), one.status, one.bundle, one.created, one.owner]);
  return { print: table([['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'], ...rows]) };
}

/** The container's own process where the host has that; else the holder, whose end is the container's too. */
async function pidOf({ bundles }: OciContext, { key, holder }: ContainerRecord): Promise<number> {
  const own = await bundles.processOnHost(key).catch(() => undefined);
  return own ?? holder.pid;
}

async function stateOf(context: OciContext, record: ContainerRecord) {
  const pid = await pidOf(context, record);
  const status = statusOf(context, record);
  return {
    ociVersion: '1.0.2',
    id: record.id,
    pid: status === 'stopped' ? 0 : pid,
    status,
    bundle: record.bundle,
    rootfs: record.rootfs,
    created: new Date(record.createdAtMs).toISOString(),
    annotations: record.annotations,
    owner: 'root',
  };
}

export function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]! + 2))
      .join('')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
