/** HorizontalPodAutoscaler (autoscaling/v2): how many Pods a workload gets by how busy they are. Validation stands in hpa-validation.ts. */
import type {
  HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricSpec,
  MetricStatus,
} from 'kubernetes-types/autoscaling/v2.js';
import { type KubeObject, resources } from '../../client.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind, splitSpecAndStatus } from '../define.ts';
import { validateAutoscaler } from './hpa-validation.ts';

export type Autoscaler = HorizontalPodAutoscaler & KubeObject;

const defaultUtilization = 80;

export const horizontalPodAutoscalerKind = defineKind<Autoscaler>({
  ref: resources.horizontalpodautoscalers,
  kind: 'HorizontalPodAutoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Reference', 'What is scaled.'),
    column('Targets', 'Each metric as it is and as it should be.'),
    column('MinPods', 'Fewest replicas.'),
    column('MaxPods', 'Most replicas.', { type: 'integer' }),
    column('Replicas', 'Replicas as last seen.', { type: 'integer' }),
    ageColumn,
  ],
  row: (scaler, nowMs) => {
    const { spec, status } = scaler;
    return [
      nameCell(scaler),
      `${spec?.scaleTargetRef?.kind ?? ''}/${spec?.scaleTargetRef?.name ?? ''}`,
      targetsCell(spec?.metrics ?? [], status?.currentMetrics ?? []),
      String(spec?.minReplicas ?? '<unset>'),
      spec?.maxReplicas ?? 0,
      status?.currentReplicas ?? 0,
      ageCell(scaler, nowMs),
    ];
  },
  defaults: applyDefaults,
  prepareCreate(scaler) {
    scaler.status = { desiredReplicas: 0 };
  },
  prepareUpdate: splitSpecAndStatus,
  validate: validateAutoscaler,
  validateUpdate: (scaler, _old, target) => (target === 'status' ? [] : validateAutoscaler(scaler)),
});

/** pkg/apis/autoscaling/v2/defaults.go. */
function applyDefaults(scaler: Autoscaler): void {
  scaler.spec ??= { scaleTargetRef: { kind: '', name: '' }, maxReplicas: 0 };
  const { spec } = scaler;
  spec.scaleTargetRef ??= { kind: '', name: '' };
  spec.maxReplicas ??= 0;
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) {
    const target = { type: 'Utilization', averageUtilization: defaultUtilization };
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  const { behavior } = spec;
  if (!behavior) return;
  behavior.scaleUp = withRules(behavior.scaleUp, {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
  });
  behavior.scaleDown = withRules(behavior.scaleDown, {
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
  });
}

function withRules(rules: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  const made = { ...defaults, ...rules };
  return rules?.policies?.length ? made : { ...made, policies: structuredClone(defaults.policies) };
}

const maxShown = 2;

function targetsCell(specs: MetricSpec[], statuses: MetricStatus[]): string {
  if (specs.length === 0) return '<none>';
  const shown = specs.slice(0, maxShown).map((spec, i) => targetText(spec, statuses[i]));
  const more = specs.length > maxShown ? ` + ${specs.length - maxShown} more...` : '';
  return shown.join(', ') + more;
}

function targetText(spec: MetricSpec, status: MetricStatus | undefined): string {
  const source = spec.resource ?? spec.containerResource ?? spec.pods ?? spec.object ?? spec.external;
  const current = (status?.resource ?? status?.containerResource ?? status?.pods ?? status?.object ?? status?.external)
    ?.current;
  const name = spec.resource?.name ?? spec.containerResource?.name;
  const prefix = name ? `${name}: ` : '';
  const { target } = source ?? {};
  if (target?.averageUtilization !== undefined) {
    const now = current?.averageUtilization === undefined ? '<unknown>' : `${current.averageUtilization}%`;
    return `${prefix}${now}/${target.averageUtilization}%`;
  }
  if (target?.averageValue !== undefined) {
    const average = spec.type === 'External' || spec.type === 'Object' ? ' (avg)' : '';
    return `${prefix}${current?.averageValue ?? '<unknown>'}/${target.averageValue}${average}`;
  }
  return target?.value === undefined ? '<unknown type>' : `${prefix}${current?.value ?? '<unknown>'}/${target.value}`;
}
