/**
 * A message of CRI as Go's encoding/json writes it, which is how containerd shows configurations in the `info` of verbose answers: names as in the proto, numbers
 * for enums, nothing for zeros. Pure.
 */

/** Fields whose keys are somebody's own words and not names. */
const maps = new Set(['labels', 'annotations', 'sysctls', 'unified', 'options']);

export function criJson(message: object): Record<string, unknown> {
  const fields = Object.entries(message).flatMap(([name, value]) => {
    const shown = maps.has(name) ? nonEmpty(value) : shownOf(value);
    return shown === undefined ? [] : [[snakeCase(name), shown]];
  });
  return Object.fromEntries(fields);
}

function shownOf(value: unknown): unknown {
  if (typeof value === 'bigint') return value === 0n ? undefined : Number(value);
  if (Array.isArray(value)) return value.length > 0 ? value.map(itemOf) : undefined;
  if (value instanceof Uint8Array) return value.length > 0 ? Buffer.from(value).toString('base64') : undefined;
  if (typeof value === 'object' && value !== null) return criJson(value);
  return value || undefined;
}

/** A list keeps its zeros. */
const itemOf = (value: unknown): unknown =>
  typeof value === 'bigint' ? Number(value) : typeof value === 'object' ? shownOf(value) : value;

const nonEmpty = (value: unknown) => (Object.keys(value ?? {}).length > 0 ? value : undefined);

const snakeCase = (name: string): string =>
  name.replace(/([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])/g, '$1$3_$2$4').toLowerCase();
