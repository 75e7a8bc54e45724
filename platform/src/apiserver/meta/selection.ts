/** Which objects of a kind a list or watch means. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { badRequest } from './failures.ts';

export interface Selection {
  /** No selector at all: every object matches. */
  everything: boolean;
  matches(object: KubeObject): boolean;
}

export function selectionOf(kind: Kind, query: { labelSelector?: string; fieldSelector?: string }): Selection {
  if (!query.labelSelector && !query.fieldSelector) return { everything: true, matches: () => true };
  const tests: ((object: KubeObject) => boolean)[] = [];
  for (const term of query.fieldSelector?.split(',') ?? []) {
    const [, path = '', operator, value] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
    const field = fieldOf(kind, path);
    tests.push((object) => (field(object) === value) === (operator !== '!='));
  }
  for (const term of query.labelSelector?.split(',') ?? []) {
    const [, key = '', operator, value] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
    tests.push((object) => (object.metadata?.labels?.[key] === value) === (operator !== '!='));
  }
  return { everything: false, matches: (object) => tests.every((test) => test(object)) };
}

function fieldOf(kind: Kind, path: string): (object: KubeObject) => string {
  if (path === 'metadata.name') return (object) => object.metadata?.name ?? '';
  if (path === 'metadata.namespace' && kind.ref.namespaced) return (object) => object.metadata?.namespace ?? '';
  const field = kind.selectableFields[path];
  if (!field) throw badRequest(`field label not supported: ${path}`);
  return field;
}
