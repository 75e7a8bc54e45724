/** Validation of a Job (pkg/apis/batch/validation): the same fields, the same sentences. Policies stand in job-policies.ts. */
import type { JobSpec } from 'kubernetes-types/batch/v1.js';
import type { Cause } from '../../errors.ts';
import { invalid, notSupported, required } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import type { Target } from '../../kind.ts';
import { dnsLabelProblems, qualifiedNameProblems } from '../../names.ts';
import { fromLabelSelectorObject, matchesLabels } from '../../selectors/label-selector.ts';
import { validateLabelSelector } from '../label-selector-validation.ts';
import { validateImmutable } from '../metadata.ts';
import { validatePodTemplate } from '../pod/template.ts';
import type { JobObject } from './job-defaults.ts';
import { controllerUidLabel, jobNameLabel, legacyControllerUidLabel, legacyJobNameLabel } from './job-labels.ts';
import { validateFailurePolicy, validateSuccessPolicy } from './job-policies.ts';

const maxIndexedParallelism = 100_000;
const manyCompletions = 100_000;
const maxOfMany = 10_000;
const completionModes = ['Indexed', 'NonIndexed'];
const replacementPolicies = ['Failed', 'TerminatingOrFailed'];
const counts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'maxFailedIndexes',
  'backoffLimitPerIndex',
] as const;

export function validateJob(job: JobObject): Cause[] {
  const spec = job.spec!;
  return [
    ...validateGenerated(job),
    ...validateJobSpec(spec, 'spec'),
    ...validateHostname(job),
    ...checkSelector(spec),
  ];
}

/** Also of a CronJob's template, which has no selector yet. */
export function validateJobSpec(spec: JobSpec, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const name of counts) {
    const value = spec[name];
    if (value !== undefined && value < 0) {
      causes.push(invalid(`${field}.${name}`, value, 'must be greater than or equal to 0'));
    }
  }
  return [
    ...causes,
    ...validateCompletionMode(spec, field),
    ...validateIndexLimits(spec, field),
    ...validateReplacement(spec, field),
    ...(spec.managedBy === undefined ? [] : validateManager(spec.managedBy, `${field}.managedBy`)),
    ...validateFailurePolicy(spec, `${field}.podFailurePolicy`),
    ...validateSuccessPolicy(spec, `${field}.successPolicy`),
    ...validateLabelSelector(spec.selector ?? {}, `${field}.selector`),
    ...validatePodTemplate(spec.template, `${field}.template`),
    ...validateRestartPolicy(spec, `${field}.template.spec.restartPolicy`),
  ];
}

function validateCompletionMode(spec: JobSpec, field: string): Cause[] {
  const { completionMode = '', completions, parallelism = 0 } = spec;
  if (!completionModes.includes(completionMode)) {
    return [notSupported(`${field}.completionMode`, completionMode, completionModes)];
  }
  if (completionMode !== 'Indexed') return [];
  const causes: Cause[] = [];
  if (completions === undefined) {
    causes.push(required(`${field}.completions`, 'when completion mode is Indexed'));
  }
  if (parallelism > maxIndexedParallelism) {
    const detail = `must be less than or equal to ${maxIndexedParallelism} when completion mode is Indexed`;
    causes.push(invalid(`${field}.parallelism`, parallelism, detail));
  }
  return causes;
}

function validateIndexLimits(spec: JobSpec, field: string): Cause[] {
  const { backoffLimitPerIndex: perIndex, maxFailedIndexes, completions, completionMode, template } = spec;
  const causes: Cause[] = [];
  if (maxFailedIndexes !== undefined && completions !== undefined && maxFailedIndexes > completions) {
    causes.push(invalid(`${field}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'));
  }
  if (maxFailedIndexes !== undefined && perIndex === undefined) {
    causes.push(required(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  if (perIndex === undefined) return causes;
  if (completionMode !== 'Indexed') {
    causes.push(invalid(`${field}.backoffLimitPerIndex`, perIndex, 'requires indexed completion mode'));
  }
  if ((completions ?? 0) > manyCompletions) causes.push(...validateManyIndexes(spec, field));
  if (template.spec?.restartPolicy !== 'Never') {
    const detail = 'only "Never" is supported when backoffLimitPerIndex is specified';
    causes.push(invalid(`${field}.template.spec.restartPolicy`, template.spec?.restartPolicy, detail));
  }
  return causes;
}

/** The list of failed indexes has to stay small enough for a status. */
function validateManyIndexes({ maxFailedIndexes, parallelism = 0 }: JobSpec, field: string): Cause[] {
  if (maxFailedIndexes === undefined) {
    return [required(`${field}.maxFailedIndexes`, `must be specified when completions is above ${manyCompletions}`)];
  }
  const detail = `must be less than or equal to ${maxOfMany} when completions are above ${manyCompletions} and used with backoff limit per index`;
  return Object.entries({ parallelism, maxFailedIndexes }).flatMap(([name, value]) =>
    value > maxOfMany ? [invalid(`${field}.${name}`, value, detail)] : [],
  );
}

function validateReplacement(spec: JobSpec, field: string): Cause[] {
  const { podReplacementPolicy: policy, podFailurePolicy } = spec;
  if (policy === undefined) return [];
  const allowed = podFailurePolicy ? ['Failed'] : replacementPolicies;
  return allowed.includes(policy) ? [] : [notSupported(`${field}.podReplacementPolicy`, policy, allowed)];
}

function validateManager(manager: string, field: string): Cause[] {
  if (!manager.includes('/')) {
    return [invalid(field, manager, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  return qualifiedNameProblems(manager).map((problem) => invalid(field, manager, problem));
}

function validateRestartPolicy({ template }: JobSpec, field: string): Cause[] {
  const policy = template.spec?.restartPolicy;
  if (policy === 'OnFailure' || policy === 'Never') return [];
  if (policy === 'Always') return [required(field, 'valid values: "OnFailure", "Never"')];
  return [notSupported(field, policy, ['OnFailure', 'Never'])];
}

/** The last Pod of an Indexed Job has the longest hostname. */
function validateHostname({ metadata, spec }: JobObject): Cause[] {
  if (spec!.completionMode !== 'Indexed' || !spec!.completions || spec!.completions < 0) return [];
  const hostname = `${metadata?.name}-${spec!.completions - 1}`;
  if (dnsLabelProblems(hostname).length === 0) return [];
  const detail = `will not able to create pod with invalid DNS label: ${hostname}`;
  return [invalid('metadata.name', metadata?.name, detail)];
}

/** What the server generates may not be chosen by the user, as long as the selector is not either. */
function validateGenerated({ metadata, spec }: JobObject): Cause[] {
  const { manualSelector, selector, template } = spec!;
  if (manualSelector) return selector ? [] : [required('spec.selector')];
  const { uid = '', name = '' } = metadata ?? {};
  const labels = template.metadata?.labels ?? {};
  const wanted: [string, string][] = [
    [controllerUidLabel, uid],
    [legacyControllerUidLabel, uid],
    [jobNameLabel, name],
    [legacyJobNameLabel, name],
  ];
  const causes = wanted.flatMap(([key, value]) =>
    labels[key] === value
      ? []
      : [invalid('spec.template.metadata.labels', labels, `must be '${value}' for label '${key}'`)],
  );
  const generated = { matchLabels: { [controllerUidLabel]: uid } };
  if (!equalJson(selector, generated))
    causes.push(invalid('spec.selector', selector ?? null, '`selector` not auto-generated'));
  return causes;
}

function checkSelector({ selector, template }: JobSpec): Cause[] {
  if (!selector || validateLabelSelector(selector, '').length > 0) return [];
  const labels = template.metadata?.labels ?? {};
  if (matchesLabels(fromLabelSelectorObject(selector), labels)) return [];
  return [invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')];
}

const immutable = [
  'selector',
  'completionMode',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'managedBy',
  'successPolicy',
] as const;

export function validateJobUpdate(job: JobObject, old: JobObject, target: Target): Cause[] {
  if (target === 'status') return validateStatus(job);
  const [spec, before] = [job.spec!, old.spec!];
  return [
    ...validateJobSpec(spec, 'spec'),
    ...validateHostname(job),
    ...validateCompletions(spec, before),
    ...immutable.flatMap((field) => validateImmutable(spec[field], before[field], `spec.${field}`)),
    ...validateTemplateUpdate(job, old),
  ];
}

/** Completions of an Indexed Job follow its parallelism, so that both grow and shrink in step (KEP-3715). */
function validateCompletions(spec: JobSpec, before: JobSpec): Cause[] {
  if (spec.completions === before.completions) return [];
  const elastic =
    spec.completionMode === 'Indexed' && spec.completions !== undefined && before.completions !== undefined;
  if (!elastic) return validateImmutable(spec.completions, before.completions, 'spec.completions');
  if (spec.completions === spec.parallelism) return [];
  const detail = 'can only be modified in tandem with spec.parallelism such that spec.completions == spec.parallelism';
  return [invalid('spec.completions', spec.completions, detail)];
}

const schedulingFields = ['nodeSelector', 'tolerations', 'affinity', 'schedulingGates'] as const;

/** Where Pods may go can be changed until the first of them is started (KEP-2926). */
function validateTemplateUpdate(job: JobObject, old: JobObject): Cause[] {
  const now = structuredClone(job.spec!.template);
  const before = old.spec!.template;
  if (old.spec!.suspend && !old.status?.startTime) {
    now.metadata = structuredClone(before.metadata);
    const [spec, from] = [now.spec, before.spec] as (Record<string, unknown> | undefined)[];
    for (const field of schedulingFields) if (spec && from) spec[field] = from[field];
  }
  return validateImmutable(now, before, 'spec.template');
}

function validateStatus(job: JobObject): Cause[] {
  const causes: Cause[] = [];
  for (const name of ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const) {
    const value = job.status?.[name];
    if (value !== undefined && value < 0) {
      causes.push(invalid(`status.${name}`, value, 'must be greater than or equal to 0'));
    }
  }
  const types = (job.status?.conditions ?? []).filter(({ status }) => status === 'True').map(({ type }) => type);
  if (types.includes('Complete') && types.includes('Failed')) {
    causes.push(invalid('status.conditions', '', 'cannot set Complete=True and Failed=true conditions'));
  }
  if (job.status?.completionTime && !types.includes('Complete')) {
    causes.push(
      invalid(
        'status.completionTime',
        job.status.completionTime,
        'cannot set completionTime when there is no Complete=True condition',
      ),
    );
  }
  return causes;
}
