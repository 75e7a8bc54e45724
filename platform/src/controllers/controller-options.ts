/** What every controller that stands on the shared informers is made of, and the keys of their queues. */
import type { KubeClient, KubeObject } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { SharedInformers } from './informer/shared-informers.ts';

export interface ControllerParts {
  client: KubeClient;
  informers: SharedInformers;
  log: Logger;
  clock: Clock;
}

export function keyOf({ metadata }: KubeObject): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** For writes whose loss is no harm: who was faster, or what is gone, comes through the watch and the key is looked at again. */
export async function unlessOutdated<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isReason(error, 'NotFound', 'Conflict')) return undefined;
    throw error;
  }
}
