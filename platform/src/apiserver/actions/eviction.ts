/**
 * POST pods/<name>/eviction: a deletion that asks first whether the Pod may go. Disruption budgets will be asked here once that kind
 * exists; until then an eviction is granted.
 */
import { resources } from '@sampan/api/client.ts';
import type { Action } from '../meta/action.ts';
import { badRequest } from '../meta/failures.ts';
import { isObject } from '../meta/object.ts';
import { success } from '../meta/status.ts';
import { deleteObject } from '../verbs/delete.ts';
import { deleteOptionsFrom } from '../verbs/delete-options.ts';

export const eviction: Action = {
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: 'eviction',
  namespaced: true,
  kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
  async run({ context, namespace, name, body, caller }) {
    if (body.metadata.name && body.metadata.name !== name)
      throw badRequest('name in URL does not match name in Eviction object');
    const given = (body as { deleteOptions?: unknown }).deleteOptions;
    const { dryRun, ...options } = deleteOptionsFrom(isObject(given) ? given : {});
    const kind = context.kinds.of(resources.pods);
    const place = { kind, namespace, name };
    await deleteObject(context, { place, options, caller: { ...caller, dryRun: caller.dryRun || dryRun } });
    return success({}, 201);
  },
};
