/** Parameters of the operations in an OpenAPI document: those that clients look for. */

export const query = (name: string, description: string, type = 'string') => ({
  name,
  in: 'query',
  description,
  schema: { type, uniqueItems: true },
});

export const inPath = (name: string, description: string) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', uniqueItems: true },
});

export const writeParameters = [
  query('dryRun', 'With All, the request is answered as if it had been done, and nothing is stored.'),
  query('fieldManager', 'Who makes the change.'),
  query(
    'fieldValidation',
    'What becomes of unknown fields: Ignore drops them, Warn drops them and says so, Strict refuses the request.',
  ),
];

export const patchParameters = [
  ...writeParameters,
  query('force', 'With apply: take fields over from other managers.', 'boolean'),
];

export const listParameters = [
  query('labelSelector', 'Only objects whose labels match.'),
  query('fieldSelector', 'Only objects whose fields match.'),
  query('limit', 'The most objects one answer holds.', 'integer'),
  query('continue', 'Where a longer list goes on.'),
  query('resourceVersion', 'How fresh the answer has to be.'),
  query('resourceVersionMatch', 'How resourceVersion is meant.'),
  query('sendInitialEvents', 'Whether a watch begins with what is there.', 'boolean'),
  query('timeoutSeconds', 'How long a watch lasts.', 'integer'),
  query('watch', 'Follow changes instead of listing.', 'boolean'),
];

export const deleteParameters = [
  query('dryRun', 'With All, nothing is deleted.'),
  query('gracePeriodSeconds', 'Seconds until the end; 0: at once.', 'integer'),
  query('propagationPolicy', 'What becomes of dependents.'),
];
