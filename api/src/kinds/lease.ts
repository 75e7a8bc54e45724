/** Lease: who holds something, and since when: leader election and node heartbeats. */
import type { Lease } from 'kubernetes-types/coordination/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { invalid } from '../field-errors.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';

export const leaseKind = defineKind<Lease>({
  ref: resources.leases,
  kind: 'Lease',
  conditionalUpdates: true,
  columns: [nameColumn, column('Holder', 'Identity of the holder.'), ageColumn],
  row: (lease, nowMs) => [nameCell(lease), lease.spec?.holderIdentity ?? '', ageCell(lease, nowMs)],
  validate({ spec }): Cause[] {
    const causes: Cause[] = [];
    const { leaseDurationSeconds: duration, leaseTransitions: transitions } = spec ?? {};
    if (duration !== undefined && duration <= 0) {
      causes.push(invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
    }
    if (transitions !== undefined && transitions < 0) {
      causes.push(invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
    }
    return causes;
  },
});
