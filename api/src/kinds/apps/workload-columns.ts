/** Cells that workloads share. */
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import { formatLabelSelector, type LabelSelectorObject } from '../../selectors/label-selector.ts';
import { column } from '../columns.ts';

export const templateColumns = [
  column('Containers', 'Names of the containers of the template.', { wide: true }),
  column('Images', 'Images of the template.', { wide: true }),
];

export const selectorColumn = column('Selector', 'Labels by which its Pods are known.', { wide: true });

export function templateCells(template: PodTemplateSpec | undefined): string[] {
  const containers = template?.spec?.containers ?? [];
  return [containers.map(({ name }) => name).join(','), containers.map(({ image }) => image ?? '').join(',')];
}

export function selectorCell(selector: object | undefined): string {
  return formatLabelSelector((selector ?? {}) as LabelSelectorObject) || '<none>';
}
