/** Tables of custom objects: additionalPrinterColumns, or name and age. */
import type { KubeObject } from '../client.ts';
import type { Kind, TableColumn } from '../kind.ts';
import { ageCell, ageColumn, nameCell, nameColumn } from '../kinds/columns.ts';
import { ageOf } from '../time.ts';
import type { VersionSpec } from './definition-types.ts';
import { type JsonPath, parseJsonPath } from './json-path.ts';

type Cell = string | number | boolean | null;

/** The paths were checked with the definition. */
export function printerColumns({ additionalPrinterColumns = [] }: VersionSpec): Pick<Kind, 'columns' | 'row'> {
  if (additionalPrinterColumns.length === 0) {
    return { columns: [nameColumn, ageColumn], row: (object, nowMs) => [nameCell(object), ageCell(object, nowMs)] };
  }
  const readers = additionalPrinterColumns.map(({ type, jsonPath }) => cellReader(type, parseJsonPath(jsonPath)));
  const columns = additionalPrinterColumns.map(({ name, type, format = '', description, priority = 0, jsonPath }) => ({
    name,
    type: type as TableColumn['type'],
    format,
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
  }));
  return {
    columns: [nameColumn, ...columns],
    row: (object, nowMs) => [nameCell(object), ...readers.map((read) => read(object, nowMs))],
  };
}

function cellReader(type: string, path: JsonPath): (object: KubeObject, nowMs: number) => Cell {
  return (object, nowMs) => {
    const found = path.find(object);
    return found.length === 0 ? null : cellOf(type, found, nowMs);
  };
}

/** As apiextensions-apiserver's tableconvertor: a value that is not of the column's type is no cell. */
function cellOf(type: string, found: unknown[], nowMs: number): Cell {
  const [value] = found;
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? ageOf(value, nowMs).replace('<unknown>', '<invalid>') : null;
    default:
      return found.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(' ');
  }
}
