/** meta/v1 DeleteOptions out of a request's body. */
import type { DeleteOptions } from '@sampan/api/client.ts';
import { z } from 'zod';
import { badRequest, invalid } from '../meta/failures.ts';

const schema = z.object({
  kind: z.string().nullish(),
  gracePeriodSeconds: z.number().int().nullish(),
  preconditions: z.object({ uid: z.string().nullish(), resourceVersion: z.string().nullish() }).nullish(),
  propagationPolicy: z.string().nullish(),
  orphanDependents: z.boolean().nullish(),
  dryRun: z.array(z.string()).nullish(),
});

/** Throws BadRequest or Invalid naming the field. The policy's value is checked by the verb. */
export function deleteOptionsFrom(body: unknown): DeleteOptions & { dryRun: boolean } {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw badRequest(`DeleteOptions: ${z.prettifyError(parsed.error)}`);
  const { kind, gracePeriodSeconds, preconditions, propagationPolicy, orphanDependents, dryRun } = parsed.data;
  if (kind && kind !== 'DeleteOptions') throw badRequest(`a DELETE takes DeleteOptions, not ${kind}`);
  if (dryRun?.some((value) => value !== 'All')) {
    const given = dryRun.map((value) => JSON.stringify(value)).join(', ');
    const message = `Unsupported value: []string{${given}}: supported values: "All"`;
    throw refused('dryRun', message, 'FieldValueNotSupported');
  }
  if (propagationPolicy && typeof orphanDependents === 'boolean') {
    const message = `Invalid value: ${JSON.stringify(propagationPolicy)}: orphanDependents and deletionPropagation cannot be both set`;
    throw refused('propagationPolicy', message, 'FieldValueInvalid');
  }
  const { uid, resourceVersion } = preconditions ?? {};
  const policy = propagationPolicy || olderPolicy(orphanDependents);
  return {
    ...(typeof gracePeriodSeconds === 'number' ? { gracePeriodSeconds } : {}),
    preconditions: { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) },
    ...(policy ? { propagationPolicy: policy as DeleteOptions['propagationPolicy'] } : {}),
    dryRun: (dryRun?.length ?? 0) > 0,
  };
}

/** The older way to say it; saying no is another thing than saying nothing. */
export function olderPolicy(orphanDependents: boolean | null | undefined): 'Orphan' | 'Background' | undefined {
  if (typeof orphanDependents !== 'boolean') return undefined;
  return orphanDependents ? 'Orphan' : 'Background';
}

function refused(field: string, message: string, reason: string) {
  return invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [{ reason, message, field }]);
}
