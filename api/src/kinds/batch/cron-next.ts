/**
 * When a cron schedule is due. A moment is due when the clock on the wall of its time zone shows a matching time: what a clock change leaves out
 * does not happen that day, and what it repeats happens twice (as robfig/cron, which kube-controller-manager uses).
 */
import type { CronFields, CronSchedule } from './cron-schedule.ts';

interface WallTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  weekday: number;
}

const minuteMs = 60_000;
/** No clock change is longer. */
const longestShiftMinutes = 120;
/** A schedule that is not due for so long never is (February 30th). */
const searchYears = 5;

/** False for anything that is no name of the IANA database; `Local` and offsets such as `+01:00` are none. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/.test(name) || name === 'Local') return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The first moment after `afterMs`, or undefined when there is none in the next years. `timeZone` absent: UTC. */
export function nextTime(schedule: CronSchedule, afterMs: number, timeZone = 'UTC'): number | undefined {
  if (schedule.kind === 'every') return Math.trunc((afterMs + schedule.ms) / 1000) * 1000;
  const wall = wallClock(timeZone);
  const endMs = afterMs + searchYears * 366 * 86_400_000;
  let at = (Math.floor(afterMs / minuteMs) + 1) * minuteMs;
  while (at <= endMs) {
    const minutes = minutesToSkip(schedule.fields, wall(at));
    if (minutes === 0) return at;
    at += minutes * minuteMs;
  }
  return undefined;
}

/** 0: due now. Otherwise a step that leaves out nothing. */
function minutesToSkip(fields: CronFields, time: WallTime): number {
  const ofDay = time.hour * 60 + time.minute;
  const toNextHour = 60 - time.minute;
  if (!fields.month.has(time.month)) {
    const daysLeft = new Date(Date.UTC(time.year, time.month, 0)).getUTCDate() - time.day;
    return Math.max(daysLeft * 1440 + 1440 - ofDay - longestShiftMinutes, toNextHour);
  }
  if (!matchesDay(fields, time)) return Math.max(1440 - ofDay - longestShiftMinutes, toNextHour);
  if (!fields.hour.has(time.hour)) return toNextHour;
  for (let minute = time.minute; minute < 60; minute++) if (fields.minute.has(minute)) return minute - time.minute;
  return toNextHour;
}

function matchesDay({ dayOfMonth, dayOfWeek, bothDays }: CronFields, { day, weekday }: WallTime): boolean {
  const [inMonth, inWeek] = [dayOfMonth.has(day), dayOfWeek.has(weekday)];
  return bothDays ? inMonth && inWeek : inMonth || inWeek;
}

/**
 * The last moment in (afterMs, untilMs], or undefined, and roughly how many there were. Looks back in ever longer steps, so that a server that was
 * away for a year need not walk through every minute of it.
 */
export function lastTime(
  schedule: CronSchedule,
  { afterMs, untilMs, timeZone }: { afterMs: number; untilMs: number; timeZone?: string },
): { lastMs: number | undefined; missed: number } {
  const first = nextTime(schedule, afterMs, timeZone);
  if (first === undefined || first > untilMs) return { lastMs: undefined, missed: 0 };
  const second = nextTime(schedule, first, timeZone);
  if (second === undefined || second > untilMs) return { lastMs: first, missed: 1 };
  const betweenMs = second - first;
  const missed = Math.trunc((untilMs - first) / betweenMs) + 1;
  if (schedule.kind === 'every') return { lastMs: first + (missed - 1) * betweenMs, missed };
  let lastMs = second;
  for (let backMs = 2 * betweenMs; ; backMs *= 4) {
    const from = Math.max(second - minuteMs, untilMs - backMs);
    const found = nextTime(schedule, from, timeZone);
    if (found !== undefined && found <= untilMs) {
      lastMs = found;
      break;
    }
  }
  for (;;) {
    const next = nextTime(schedule, lastMs, timeZone);
    if (next === undefined || next > untilMs) return { lastMs, missed };
    lastMs = next;
  }
}

const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
/** One reader a zone: making one costs far more than using it. */
const readers = new Map<string, Intl.DateTimeFormat>();
const maxReaders = 64;

function wallClock(timeZone: string): (ms: number) => WallTime {
  if (timeZone === 'UTC') return utcTime;
  const reader = readerOf(timeZone);
  return (ms) => {
    const parts: Record<string, string> = {};
    for (const { type, value } of reader.formatToParts(ms)) parts[type] = value;
    return {
      year: Number(parts.year),
      month: Number(parts.month),
      day: Number(parts.day),
      hour: Number(parts.hour),
      minute: Number(parts.minute),
      weekday: weekdays.indexOf(parts.weekday!),
    };
  };
}

function utcTime(ms: number): WallTime {
  const date = new Date(ms);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    weekday: date.getUTCDay(),
  };
}

function readerOf(timeZone: string): Intl.DateTimeFormat {
  const known = readers.get(timeZone);
  if (known) return known;
  if (readers.size >= maxReaders) readers.clear();
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    weekday: 'short',
  });
  readers.set(timeZone, made);
  return made;
}

/** RFC 3339 as the clock of the zone shows it: `2024-07-01T09:00:00+02:00`. */
export function zonedTime(ms: number, timeZone = 'UTC'): string {
  const { year, month, day, hour, minute } = wallClock(timeZone)(ms);
  const seconds = new Date(ms).getUTCSeconds();
  const wallMs = Date.UTC(year, month - 1, day, hour, minute, seconds);
  const offset = Math.round((wallMs - Math.floor(ms / 1000) * 1000) / minuteMs);
  const text = new Date(wallMs).toISOString().slice(0, 19);
  if (offset === 0) return `${text}Z`;
  const two = (value: number) => String(value).padStart(2, '0');
  const size = Math.abs(offset);
  return `${text}${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
