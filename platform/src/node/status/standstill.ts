/** Tells a Pod's owner that its machine stands still since its disk finds no room on the node: a condition for as long, and an event each way. */
import type { PodCondition } from 'kubernetes-types/core/v1.js';
import type { SandboxRecord } from '../decide/model.ts';
import type { PodEvents } from '../pod-events.ts';
import type { PodState } from '../pod-state.ts';

const standsStillType = 'sampan.dev/StandsStill';

type Draft = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;

const said = (state: PodState): PodCondition | undefined =>
  state.pod.status?.conditions?.find(({ type }) => type === standsStillType);

/** `sandbox`: the Pod's that is ready. */
export function standstillCondition(state: PodState, sandbox: SandboxRecord | undefined): Draft[] {
  const directory = sandbox?.waitsForRoom;
  if (directory !== undefined)
    return [{ type: standsStillType, status: 'True', reason: 'NoRoomOnNode', message: sentence(directory) }];
  // Only where it was ever said.
  return said(state) ? [{ type: standsStillType, status: 'False', reason: 'RoomOnNode' }] : [];
}

/** Once each way, also when the server was another one in between: what was said last stands in the Pod. */
export function tellStandstill(state: PodState, sandbox: SandboxRecord | undefined, events: PodEvents): void {
  if (!sandbox) return;
  const directory = sandbox.waitsForRoom;
  const stoodStill = said(state)?.status === 'True';
  if (directory !== undefined && !stoodStill)
    events.pod(state.object, 'Warning', 'MachineStandsStill', sentence(directory));
  if (directory === undefined && stoodStill)
    events.pod(state.object, 'Normal', 'MachineGoesOn', "The node has room again for what the Pod's machine writes");
}

const sentence = (directory: string): string =>
  `The Pod's machine stands still: its disk, a file in ${directory} on the node, finds no room there, and no write shall be lost. Free some space; it goes on by itself within seconds.`;
