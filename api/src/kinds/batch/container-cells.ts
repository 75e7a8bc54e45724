/** Cells of the wide table that tell of a Pod template. */
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';

/** Comma-separated names and images of a template's containers. */
export function containerCells(template: PodTemplateSpec | undefined): [names: string, images: string] {
  const containers = template?.spec?.containers ?? [];
  return [containers.map(({ name }) => name).join(','), containers.map(({ image }) => image ?? '').join(',')];
}
