/**
 * Ids of containerd's tasks as ids of bundles. Several containerds, each with several namespaces, are served side by side, so an id says whose it is:
 * <door>--<namespace>--<id>. containerd's own identifiers never have two separators in a row.
 */
import { SampanError } from '@sampan/api/errors.ts';

export interface TaskName {
  /** Eight digits: the containerd and the namespace. */
  door: string;
  namespace: string;
  id: string;
}

const identifier = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;

/** Throws Invalid for what containerd would not call an identifier. */
export function bundleId({ door, namespace, id }: TaskName): string {
  for (const [what, value] of Object.entries({ namespace, id }))
    if (!identifier.test(value) || value.length > 76)
      throw new SampanError('Invalid', `${what} "${value.slice(0, 80)}" is no identifier of containerd's`);
  return `${door}--${namespace}--${id}`;
}

/** Undefined for an id that another front door gave. */
export function taskName(id: string): TaskName | undefined {
  const [door, namespace, name, ...more] = id.split('--');
  if (!door || !/^[0-9a-f]{8}$/.test(door) || !namespace || !name || more.length > 0) return undefined;
  return { door, namespace, id: name };
}
