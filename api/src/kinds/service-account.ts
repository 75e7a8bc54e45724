/** ServiceAccount: who a Pod is to the API. */
import type { ServiceAccount } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';

export const serviceAccountKind = defineKind<ServiceAccount>({
  ref: resources.serviceaccounts,
  kind: 'ServiceAccount',
  showsDeleted: true,
  shortNames: ['sa'],
  columns: [nameColumn, column('Secrets', 'Number of Secrets that Pods of this account may mount.'), ageColumn],
  row: (account, nowMs) => [nameCell(account), account.secrets?.length ?? 0, ageCell(account, nowMs)],
});
