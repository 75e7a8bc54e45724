/** The Pod kind: its parts stand in the files beside. */
import type { Pod } from 'kubernetes-types/core/v1.js';
import { resources } from '../../client.ts';
import { defineKind } from '../define.ts';
import { applyPodDefaults } from './defaults.ts';
import { podColumns, podRow } from './row.ts';
import { podGracePeriodSeconds, preparePodCreate, preparePodUpdate } from './strategy.ts';
import { validatePodCreate, validatePodUpdate } from './validation.ts';

export const podKind = defineKind<Pod>({
  ref: resources.pods,
  kind: 'Pod',
  showsDeleted: true,
  shortNames: ['po'],
  categories: ['all'],
  subresources: ['status', 'ephemeralcontainers'],
  selectableFields: {
    'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec?.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec?.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIP ?? '',
    'status.podIPs': (pod) => pod.status?.podIP ?? '',
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
  columns: podColumns,
  row: podRow,
  defaults: applyPodDefaults,
  prepareCreate: preparePodCreate,
  prepareUpdate: preparePodUpdate,
  validate: validatePodCreate,
  validateUpdate: validatePodUpdate,
  gracePeriodSeconds: podGracePeriodSeconds,
});
