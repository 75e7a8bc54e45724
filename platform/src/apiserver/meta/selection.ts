/** Which objects of a kind a list or watch means. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { type FieldTerm, parseFieldSelector } from '@sampan/api/selectors/field-selector.ts';
import { matchesLabels, parseLabelSelector } from '@sampan/api/selectors/label-selector.ts';
import { badRequest } from './failures.ts';

export interface Selection {
  /** No selector at all: every object matches. */
  everything: boolean;
  matches(object: KubeObject): boolean;
}

const everything: Selection = { everything: true, matches: () => true };

/** Throws BadRequest for a selector that cannot be read, or a field the kind does not offer. */
export function selectionOf(kind: Kind, query: { labelSelector?: string; fieldSelector?: string }): Selection {
  const labels = parseLabelSelector(query.labelSelector ?? '');
  const fields = parseFieldSelector(query.fieldSelector ?? '').map((term) => fieldTest(kind, term));
  if (labels.length === 0 && fields.length === 0) return everything;
  return {
    everything: false,
    matches: (object) => fields.every((test) => test(object)) && matchesLabels(labels, object.metadata?.labels),
  };
}

function fieldTest(kind: Kind, { field, operator, value }: FieldTerm): (object: KubeObject) => boolean {
  const read = fieldOf(kind, field);
  return (object) => (read(object) === value) === (operator === '=');
}

function fieldOf(kind: Kind, path: string): (object: KubeObject) => string {
  if (path === 'metadata.name') return (object) => object.metadata?.name ?? '';
  if (path === 'metadata.namespace' && kind.ref.namespaced) return (object) => object.metadata?.namespace ?? '';
  const field = Object.hasOwn(kind.selectableFields, path) ? kind.selectableFields[path] : undefined;
  if (field) return field;
  // Kinds with fields of their own have words of their own for it.
  if (Object.keys(kind.selectableFields).length > 0) throw badRequest(`field label not supported: ${path}`);
  throw badRequest(`"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`);
}
