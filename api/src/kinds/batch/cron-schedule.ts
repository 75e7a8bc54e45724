/**
 * Cron schedules as Kubernetes reads them: the five fields and the descriptors of robfig/cron's standard parser, `@every` included.
 * It owns the syntax. When a schedule is due stands in cron-next.ts.
 */

export interface CronFields {
  minute: Set<number>;
  hour: Set<number>;
  dayOfMonth: Set<number>;
  month: Set<number>;
  dayOfWeek: Set<number>;
  /** One of the two day fields is `*`: both have to match. Otherwise either will do. */
  bothDays: boolean;
}

export type CronSchedule = { kind: 'fields'; fields: CronFields } | { kind: 'every'; ms: number };

interface Bounds {
  min: number;
  max: number;
  names?: Record<string, number>;
}

const numbered = (words: string, from: number) =>
  Object.fromEntries(words.split(' ').map((word, i) => [word, i + from]));

const bounds: Record<'minute' | 'hour' | 'dayOfMonth' | 'month' | 'dayOfWeek', Bounds> = {
  minute: { min: 0, max: 59 },
  hour: { min: 0, max: 23 },
  dayOfMonth: { min: 1, max: 31 },
  month: { min: 1, max: 12, names: numbered('jan feb mar apr may jun jul aug sep oct nov dec', 1) },
  dayOfWeek: { min: 0, max: 6, names: numbered('sun mon tue wed thu fri sat', 0) },
};

const descriptors: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const maxLength = 1024;

/** Throws RangeError that says what is wrong. Time zones do not stand in a schedule. */
export function parseCron(text: string): CronSchedule {
  if (text.length > maxLength) throw new RangeError(`schedule is longer than ${maxLength} characters`);
  if (text.startsWith('@every ')) return { kind: 'every', ms: parseEvery(text) };
  const line = text.startsWith('@') ? descriptors[text] : text;
  if (line === undefined) throw new RangeError(`unrecognized descriptor: ${text}`);
  const parts = line.split(/\s+/).filter(Boolean);
  if (parts.length !== 5)
    throw new RangeError(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`);
  const [minute, hour, dayOfMonth, month, dayOfWeek] = [
    parseField(parts[0]!, bounds.minute),
    parseField(parts[1]!, bounds.hour),
    parseField(parts[2]!, bounds.dayOfMonth),
    parseField(parts[3]!, bounds.month),
    parseField(parts[4]!, bounds.dayOfWeek),
  ];
  return {
    kind: 'fields',
    fields: {
      minute: minute.values,
      hour: hour.values,
      dayOfMonth: dayOfMonth.values,
      month: month.values,
      dayOfWeek: dayOfWeek.values,
      bothDays: dayOfMonth.isStar || dayOfWeek.isStar,
    },
  };
}

/** Comma-separated ranges. `isStar`: the field does not narrow anything down. */
function parseField(text: string, field: Bounds): { values: Set<number>; isStar: boolean } {
  const values = new Set<number>();
  let isStar = false;
  for (const expression of text.split(',').filter(Boolean)) {
    const { first, last, step, star } = parseRange(expression, field);
    for (let value = first; value <= last; value += step) values.add(value);
    isStar ||= star;
  }
  return { values, isStar };
}

/** number | number "-" number [ "/" number ] | "*" [ "/" number ]; `N/step` means from N to the end. */
function parseRange(expression: string, field: Bounds) {
  const [range = '', stepText, ...tooManySteps] = expression.split('/');
  if (tooManySteps.length > 0) throw new RangeError(`too many slashes: ${expression}`);
  const step = stepText === undefined ? 1 : parseNumber(stepText, expression);
  if (step === 0) throw new RangeError(`step of range should be a positive number: ${expression}`);
  if (range === '*' || range === '?') return { first: field.min, last: field.max, step, star: step === 1 };
  const [from = '', to, ...tooManyEnds] = range.split('-');
  if (tooManyEnds.length > 0) throw new RangeError(`too many hyphens: ${expression}`);
  const first = parseValue(from, field, expression);
  const open = stepText === undefined ? first : field.max;
  const last = to === undefined ? open : parseValue(to, field, expression);
  if (first < field.min)
    throw new RangeError(`beginning of range (${first}) below minimum (${field.min}): ${expression}`);
  if (last > field.max) throw new RangeError(`end of range (${last}) above maximum (${field.max}): ${expression}`);
  if (first > last) throw new RangeError(`beginning of range (${first}) beyond end of range (${last}): ${expression}`);
  return { first, last, step, star: false };
}

function parseValue(text: string, { names }: Bounds, expression: string): number {
  const name = text.toLowerCase();
  return names && Object.hasOwn(names, name) ? names[name]! : parseNumber(text, expression);
}

function parseNumber(text: string, expression: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new RangeError(`failed to parse int from ${expression}`);
  return Number(text);
}

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** A Go duration, cut to whole seconds and at least one. */
function parseEvery(text: string): number {
  const duration = text.slice('@every '.length);
  const terms = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (duration === '' || terms.map(([term]) => term).join('') !== duration) {
    throw new RangeError(`failed to parse duration ${text}`);
  }
  const ms = terms.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit!]!, 0);
  return Math.max(1000, Math.trunc(ms / 1000) * 1000);
}
