/** Tells a Pod's owner what it runs on when it named no size: a condition that lasts, and an event. */
import { defaultedResources, defaultSize } from '@sampan/api/pod-size.ts';
import type { Pod, PodCondition } from 'kubernetes-types/core/v1.js';
import type { PodEvents } from '../pod-events.ts';
import type { PodState } from '../pod-state.ts';

const defaultSizeType = 'sampan.dev/DefaultSize';

type Draft = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;

const amounts = {
  cpu: `${defaultSize.cpuMillicores / 1000} core`,
  memory: `${defaultSize.memoryBytes / 1024 ** 2} MiB of memory`,
};

function sentence(pod: Pod): string | undefined {
  const missing = defaultedResources(pod);
  if (missing.length === 0) return undefined;
  const amount = missing.map((resource) => amounts[resource]).join(' and ');
  return `The Pod names no ${missing.join(' and no ')} for some of its containers: together they run on ${amount}. Set resources.limits to choose.`;
}

export function defaultSizeCondition(pod: Pod): Draft[] {
  const message = sentence(pod);
  return message ? [{ type: defaultSizeType, status: 'True', reason: 'NoSizeNamed', message }] : [];
}

/** Once in the life of a Pod. */
export function tellDefaultSize(state: PodState, events: PodEvents): void {
  const known = state.object.status?.conditions?.some((condition) => condition.type === defaultSizeType);
  if (state.sizeTold) return;
  state.sizeTold = true;
  const message = sentence(state.object);
  if (message && !known) events.pod(state.object, 'Normal', 'DefaultSize', message);
}
