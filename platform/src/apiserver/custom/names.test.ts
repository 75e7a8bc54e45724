import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cronTabs } from '@sampan/api/custom/custom-fixtures.ts';
import type { CustomResourceDefinition } from '@sampan/api/custom/definition-types.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { isEstablished, statusOf } from './definition-status.ts';
import { decideNames } from './names.ts';

const now = '2024-01-01T00:00:00Z';

/** As it stands once the server has looked at it. */
function settled(
  definition: CustomResourceDefinition,
  others: CustomResourceDefinition[] = [],
): CustomResourceDefinition {
  return { ...definition, status: statusOf(definition, decideNames(definition, others, allKinds), now) };
}

test('free names are accepted, and the kind is established', () => {
  const { status } = settled(cronTabs());
  assert.deepEqual(status?.acceptedNames, cronTabs().spec.names);
  assert.deepEqual(
    status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
    [
      ['NamesAccepted', 'True', 'NoConflicts'],
      ['Established', 'True', 'InitialNamesAccepted'],
    ],
  );
});

test('a name another kind of the group has is refused, by which it is; in another group it is free', () => {
  const first = settled(cronTabs());
  const names = { plural: 'tabs', kind: 'Tab', shortNames: ['ct'] };
  const second = settled(cronTabs({ names }), [first]);
  assert.equal(isEstablished(second), false);
  assert.deepEqual(second.status?.acceptedNames, { plural: 'tabs', kind: 'Tab' });
  const [accepted] = second.status?.conditions ?? [];
  assert.deepEqual([accepted?.reason, accepted?.message], ['ShortNamesConflict', '"ct" is already in use']);
  assert.ok(isEstablished(settled(cronTabs({ names, group: 'other.example.com' }), [first])));
});

test('a built-in kind keeps its names', () => {
  const names = { plural: 'leases', kind: 'Lease' };
  const { refusal } = decideNames(cronTabs({ group: 'coordination.k8s.io', names }), [], allKinds);
  assert.equal(refusal?.reason, 'PluralConflict');
});

test('what was established stays so, and conditions keep the time at which they became what they are', () => {
  const first = settled(cronTabs());
  const later = statusOf(
    first,
    { ...decideNames(first, [], []), refusal: { reason: 'X', message: 'y' } },
    '2025-01-01T00:00:00Z',
  );
  const times = later.conditions?.map(({ type, status, lastTransitionTime }) => [type, status, lastTransitionTime]);
  assert.deepEqual(times, [
    ['NamesAccepted', 'False', '2025-01-01T00:00:00Z'],
    ['Established', 'True', now],
  ]);
});
