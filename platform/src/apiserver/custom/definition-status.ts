/** The status of a CustomResourceDefinition as the server writes it: accepted names and conditions. Pure. */
import type { CustomResourceDefinition } from '@sampan/api/custom/definition-types.ts';
import type { NameDecision } from './names.ts';

type Status = NonNullable<CustomResourceDefinition['status']>;
type Condition = NonNullable<Status['conditions']>[number];

export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True') ?? false;
}

/** `now` is an RFC 3339 time: that of conditions which change. */
export function statusOf(definition: CustomResourceDefinition, names: NameDecision, now: string): Status {
  const { refusal } = names;
  const conditions = [...(definition.status?.conditions ?? [])];
  const set = (type: string, status: 'True' | 'False', reason: string, message: string) =>
    setCondition(conditions, { type, status, reason, message, lastTransitionTime: now });
  if (refusal) set('NamesAccepted', 'False', refusal.reason, refusal.message);
  else set('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found');
  // Once established it stays so: objects may be there.
  if (!isEstablished(definition)) {
    if (refusal) set('Established', 'False', 'NotAccepted', 'not all names are accepted');
    else set('Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted');
  }
  if (definition.metadata?.deletionTimestamp) {
    set('Terminating', 'True', 'InstanceDeletionInProgress', 'CustomResource deletion is in progress');
  }
  return { ...definition.status, acceptedNames: names.acceptedNames, conditions };
}

function setCondition(conditions: Condition[], next: Condition): void {
  const at = conditions.findIndex(({ type }) => type === next.type);
  const before = conditions[at];
  if (!before) conditions.push(next);
  else if (before.status === next.status) conditions[at] = { ...next, lastTransitionTime: before.lastTransitionTime };
  else conditions[at] = next;
}
