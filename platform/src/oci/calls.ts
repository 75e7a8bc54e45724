/** The calls that are one question and one answer, but for those with a file of their own. */
import { SampanError } from '@sampan/api/errors.ts';
import { deleteContainer } from './delete.ts';
import type { Call } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';
import { list, state, statusOf, table } from './state.ts';

const start: Call = async (context, params) => {
  const { root, id } = parse(requests.named, params);
  const record = context.records.find(root, id);
  await context.serial.run(record.key, async () => {
    const status = statusOf(context, record);
    if (status !== 'created')
      throw new SampanError(
        'FailedPrecondition',
        `cannot start container ${id} in the state ${status}; wanted created`,
      );
    await context.bundles.start(record.key);
  });
  return {};
};

const kill: Call = async (context, params) => {
  const { root, id, signal, all } = parse(requests.kill, params);
  const record = context.records.find(root, id);
  // In the words of runc, which its callers look for.
  if (statusOf(context, record) === 'stopped')
    throw new SampanError('FailedPrecondition', `container ${id} not running`);
  if (signal === 0) return {};
  await context.bundles.kill({ containerId: record.key }, signal, all);
  return {};
};

const pause: Call = async (context, params) => {
  const { root, id } = parse(requests.named, params);
  await context.bundles.pause(context.records.find(root, id).key);
  return {};
};

const resume: Call = async (context, params) => {
  const { root, id } = parse(requests.named, params);
  await context.bundles.resume(context.records.find(root, id).key);
  return {};
};

const update: Call = async (context, params) => {
  const { root, id, resources } = parse(requests.update, params);
  await context.bundles.update(context.records.find(root, id).key, resources);
  return {};
};

/** Ids as the guest counts them: no process of a container is one of the host. */
const ps: Call = async (context, params) => {
  const { root, id, format } = parse(requests.ps, params);
  const pids = await context.bundles.pids(context.records.find(root, id).key);
  return { print: format === 'json' ? JSON.stringify(pids) : table([['PID'], ...pids.map((pid) => [String(pid)])]) };
};

export const calls: Record<string, Call> = {
  start,
  state,
  kill,
  delete: deleteContainer,
  list,
  ps,
  pause,
  resume,
  update,
};
