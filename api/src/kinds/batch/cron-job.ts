/** The CronJob kind: Jobs by the calendar (pkg/apis/batch). */
import type { CronJob } from 'kubernetes-types/batch/v1.js';
import { type KubeObject, resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { invalid, notSupported, required } from '../../field-errors.ts';
import { formatLabelSelector } from '../../selectors/label-selector.ts';
import { humanDuration, parseTime } from '../../time.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from '../define.ts';
import { validateAnnotations, validateLabels } from '../metadata.ts';
import { containerCells } from './container-cells.ts';
import { isTimeZone } from './cron-next.ts';
import { parseCron } from './cron-schedule.ts';
import { applyJobSpecDefaults } from './job-defaults.ts';
import { validateJobSpec } from './job-validation.ts';

export type CronJobObject = CronJob & KubeObject;

const concurrencyPolicies = ['Allow', 'Forbid', 'Replace'];
/** A Job's name gets 11 characters behind this one, and its Pods' hostnames must still be labels. */
const maxNameLength = 52;

export const cronJobKind = defineKind<CronJobObject>({
  ref: resources.cronjobs,
  kind: 'CronJob',
  shortNames: ['cj'],
  categories: ['all'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Schedule', 'When it is due, in Cron format.'),
    column('Timezone', 'Time zone of the schedule.'),
    column('Suspend', 'Whether no Jobs are started for now.', { type: 'boolean' }),
    column('Active', 'Jobs that are running.', { type: 'integer' }),
    column('Last Schedule', 'Time since it was last due.'),
    ageColumn,
    column('Containers', 'Names of the containers.', { wide: true }),
    column('Images', 'Images of the containers.', { wide: true }),
    column('Selector', 'Which Pods are its own.', { wide: true }),
  ],
  row: (cron, nowMs) => {
    const { spec, status } = cron;
    const last = parseTime(status?.lastScheduleTime);
    return [
      nameCell(cron),
      spec?.schedule ?? '',
      spec?.timeZone ?? '<none>',
      spec?.suspend ? 'True' : 'False',
      status?.active?.length ?? 0,
      last === undefined ? '<none>' : humanDuration(nowMs - last),
      ageCell(cron, nowMs),
      ...containerCells(spec?.jobTemplate.spec?.template),
      formatLabelSelector(spec?.jobTemplate.spec?.selector ?? {}),
    ];
  },
  defaults(cron) {
    cron.spec ??= { schedule: '', jobTemplate: {} };
    const { spec } = cron;
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    spec.jobTemplate ??= {};
    spec.jobTemplate.spec ??= { template: {} };
    applyJobSpecDefaults(spec.jobTemplate.spec);
  },
  prepareCreate(cron) {
    Object.assign(cron.metadata!, { generation: 1 });
    cron.status = {};
  },
  prepareUpdate(cron, old, target) {
    splitSpecAndStatus(cron, old, target);
    bumpGeneration(cron, old);
  },
  validate: (cron) => [...validateName(cron), ...validateSpec(cron)],
  validateUpdate: (cron, _old, target) => (target === 'status' ? [] : validateSpec(cron)),
});

function validateName({ metadata }: CronJobObject): Cause[] {
  const name = metadata?.name ?? '';
  if (name.length <= maxNameLength) return [];
  return [invalid('metadata.name', name, `must be no more than ${maxNameLength} characters`)];
}

function validateSpec({ spec }: CronJobObject): Cause[] {
  const { concurrencyPolicy = '', jobTemplate } = spec!;
  const causes = [...validateSchedule(spec!.schedule ?? ''), ...validateTimeZone(spec!.timeZone)];
  for (const name of ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit'] as const) {
    const value = spec![name];
    if (value !== undefined && value < 0) {
      causes.push(invalid(`spec.${name}`, value, 'must be greater than or equal to 0'));
    }
  }
  if (!concurrencyPolicies.includes(concurrencyPolicy)) {
    causes.push(notSupported('spec.concurrencyPolicy', concurrencyPolicy, concurrencyPolicies));
  }
  const { labels, annotations } = jobTemplate.metadata ?? {};
  causes.push(...validateLabels(labels, 'spec.jobTemplate.metadata.labels'));
  causes.push(...validateAnnotations(annotations, 'spec.jobTemplate.metadata.annotations'));
  return [...causes, ...validateJobSpec(jobTemplate.spec!, 'spec.jobTemplate.spec'), ...validateSelector(spec!)];
}

/** The Job makes its selector itself: one for all Jobs of a schedule would mix up their Pods. */
function validateSelector({ jobTemplate }: NonNullable<CronJobObject['spec']>): Cause[] {
  const field = 'spec.jobTemplate.spec';
  const { selector, manualSelector } = jobTemplate.spec!;
  const causes: Cause[] = [];
  if (manualSelector) causes.push(notSupported(`${field}.manualSelector`, manualSelector, ['nil', 'false']));
  if (selector) causes.push(invalid(`${field}.selector`, selector, '`selector` will be auto-generated'));
  return causes;
}

function validateSchedule(schedule: string): Cause[] {
  if (!schedule) return [required('spec.schedule')];
  if (/TZ=/.test(schedule)) {
    return [invalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead')];
  }
  try {
    parseCron(schedule);
    return [];
  } catch (error) {
    return [invalid('spec.schedule', schedule, (error as Error).message)];
  }
}

function validateTimeZone(zone: string | undefined): Cause[] {
  if (zone === undefined) return [];
  if (zone === '') return [invalid('spec.timeZone', zone, 'timeZone must be nil or non-empty string')];
  if (zone.toLowerCase() === 'local') {
    const detail = 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
    return [invalid('spec.timeZone', zone, detail)];
  }
  return isTimeZone(zone) ? [] : [invalid('spec.timeZone', zone, `unknown time zone ${zone}`)];
}
