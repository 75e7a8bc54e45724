/**
 * HorizontalPodAutoscaler as autoscaling/v1, which kubectl autoscale wrote up to 1.32. Stored as autoscaling/v2; every rule is v2's, asked of the v2
 * form of the object.
 */
import type { Kind } from '../../kind.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind, splitSpecAndStatus } from '../define.ts';
import type { Autoscaler } from './horizontal-pod-autoscaler.ts';
import { validateAutoscaler } from './hpa-validation.ts';
import { type AutoscalerV1, annotationCauses, toV1, toV2 } from './v1-form.ts';

function validate(scaler: AutoscalerV1) {
  const causes = annotationCauses(scaler);
  if (causes.length > 0) return causes;
  const percent = scaler.spec!.targetCPUUtilizationPercentage;
  const field = 'spec.metrics[0].resource.target.averageUtilization';
  return validateAutoscaler(toV2(scaler)).map((cause) =>
    percent !== undefined && cause.field === field ? { ...cause, field: 'spec.targetCPUUtilizationPercentage' } : cause,
  );
}

const kind = defineKind<AutoscalerV1>({
  ref: { group: 'autoscaling', version: 'v1', resource: 'horizontalpodautoscalers', namespaced: true },
  kind: 'HorizontalPodAutoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Reference', 'What is scaled.'),
    column('Targets', 'CPU utilization as it is and as it should be.'),
    column('MinPods', 'Fewest replicas.'),
    column('MaxPods', 'Most replicas.', { type: 'integer' }),
    column('Replicas', 'Replicas as last seen.', { type: 'integer' }),
    ageColumn,
  ],
  row: (scaler, nowMs) => {
    const { spec, status } = scaler;
    const percent = (value: number | undefined) => (value === undefined ? '<unknown>' : `${value}%`);
    return [
      nameCell(scaler),
      `${spec?.scaleTargetRef?.kind ?? ''}/${spec?.scaleTargetRef?.name ?? ''}`,
      `${percent(status?.currentCPUUtilizationPercentage)}/${percent(spec?.targetCPUUtilizationPercentage)}`,
      String(spec?.minReplicas ?? '<unset>'),
      spec?.maxReplicas ?? 0,
      status?.currentReplicas ?? 0,
      ageCell(scaler, nowMs),
    ];
  },
  defaults(scaler) {
    scaler.spec ??= { scaleTargetRef: { kind: '', name: '' }, maxReplicas: 0 };
    const { spec } = scaler;
    spec.scaleTargetRef ??= { kind: '', name: '' };
    spec.maxReplicas ??= 0;
    spec.minReplicas ??= 1;
  },
  prepareCreate(scaler) {
    scaler.status = { currentReplicas: 0, desiredReplicas: 0 };
    // v1 fills in its only metric when none is given at all (pkg/apis/autoscaling/v1/defaults.go).
    if (annotationCauses(scaler).length > 0 || toV2(scaler).spec!.metrics!.length > 0) return;
    scaler.spec!.targetCPUUtilizationPercentage = 80;
  },
  prepareUpdate: splitSpecAndStatus,
  validate,
  validateUpdate: (scaler, _old, target) => (target === 'status' ? annotationCauses(scaler) : validate(scaler)),
});

/** A view is made once for each stored object, and shared like it. */
const shown = new WeakMap<object, AutoscalerV1>();

export const horizontalPodAutoscalerV1Kind: Kind = {
  ...kind,
  stored: {
    read(object) {
      const known = shown.get(object);
      if (known) return known;
      const made = deepFreeze(toV1(object as Autoscaler));
      shown.set(object, made);
      return made;
    },
    write: (object) => toV2(object as AutoscalerV1),
  },
};

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
