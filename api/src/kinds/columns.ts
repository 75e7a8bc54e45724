/** Column definitions of tables, and the cells many kinds share. */
import type { KubeObject } from '../client.ts';
import type { TableColumn } from '../kind.ts';
import { ageOf } from '../time.ts';

export function column(
  name: string,
  description: string,
  options: { type?: TableColumn['type']; format?: string; wide?: boolean } = {},
): TableColumn {
  const { type = 'string', format = '', wide = false } = options;
  return { name, type, format, description, priority: wide ? 1 : 0 };
}

export const nameColumn = column('Name', 'The name, unique among the objects of its kind in its namespace.', {
  format: 'name',
});

export const ageColumn = column('Age', 'Time since the object was created.');

export function nameCell(object: KubeObject): string {
  return object.metadata?.name ?? '';
}

export function ageCell(object: KubeObject, nowMs: number): string {
  return ageOf(object.metadata?.creationTimestamp, nowMs);
}
