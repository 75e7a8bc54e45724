/** `sampan ps`: Pods, in the columns the server gives (meta.k8s.io Table), or as JSON or YAML. */
import { stringify } from 'yaml';
import { connection } from '../connect.ts';
import { getJson } from '../https.ts';
import { printTable } from '../table.ts';

interface Table {
  columnDefinitions: { name: string; priority: number }[];
  rows: { cells: unknown[]; object?: { metadata?: { name?: string; namespace?: string } } }[];
}

export interface PsOptions {
  allNamespaces?: boolean;
  namespace: string;
  selector?: string;
  quiet?: boolean;
  output?: string;
}

export async function ps(options: PsOptions): Promise<void> {
  const { credentials } = await connection();
  const query = options.selector ? `?labelSelector=${encodeURIComponent(options.selector)}` : '';
  const path = `/api/v1/${options.allNamespaces ? '' : `namespaces/${options.namespace}/`}pods${query}`;
  if (options.output === 'json' || options.output === 'yaml') {
    const list = await getJson<object>(credentials, path);
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(list, undefined, 2)}\n` : stringify(list));
    return;
  }
  const table = await getJson<Table>(credentials, path, 'application/json;as=Table;v=v1;g=meta.k8s.io');
  if (options.quiet) {
    for (const { object } of table.rows) process.stdout.write(`${object?.metadata?.name}\n`);
    return;
  }
  const shown = table.columnDefinitions
    .map((column, index) => ({ ...column, index }))
    .filter((column) => column.priority === 0 || options.output === 'wide');
  const prefix = options.allNamespaces ? ['NAMESPACE'] : [];
  printTable(
    [...prefix, ...shown.map((column) => column.name.toUpperCase())],
    table.rows.map((row) => [
      ...(options.allNamespaces ? [row.object?.metadata?.namespace ?? ''] : []),
      ...shown.map((column) => String(row.cells[column.index] ?? '<none>')),
    ]),
  );
}
