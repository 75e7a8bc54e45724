import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isTimeZone, lastTime, nextTime, zonedTime } from './cron-next.ts';
import { parseCron } from './cron-schedule.ts';

/** The next times after `from`, as UTC. */
function times(schedule: string, from: string, { zone, count = 1 }: { zone?: string; count?: number } = {}): string[] {
  const parsed = parseCron(schedule);
  const found: string[] = [];
  for (let at: number | undefined = Date.parse(from); found.length < count; ) {
    at = nextTime(parsed, at, zone);
    if (at === undefined) break;
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
}

const next = (schedule: string, from: string, zone?: string) => times(schedule, from, zone ? { zone } : {})[0];

describe('a cron schedule', () => {
  const table: [schedule: string, from: string, due: string][] = [
    ['* * * * *', '2024-01-01T00:00:59Z', '2024-01-01T00:01'],
    ['*/15 * * * *', '2024-01-01T00:15:00Z', '2024-01-01T00:30'],
    ['5/20 * * * *', '2024-01-01T00:46:00Z', '2024-01-01T01:05'],
    ['0 9-17/4 * * *', '2024-01-01T13:00:00Z', '2024-01-01T17:00'],
    ['30 2 29 2 *', '2024-03-01T00:00:00Z', '2028-02-29T02:30'],
    ['0 0 * * MON-fri', '2024-01-05T00:00:00Z', '2024-01-08T00:00'],
    ['0 0 1 jan,JUL *', '2024-01-02T00:00:00Z', '2024-07-01T00:00'],
    ['0 12 ? * 0', '2024-01-01T00:00:00Z', '2024-01-07T12:00'],
    ['@hourly', '2024-01-01T00:30:00Z', '2024-01-01T01:00'],
    ['@weekly', '2024-01-01T00:00:00Z', '2024-01-07T00:00'],
    ['@yearly', '2024-01-01T00:00:00Z', '2025-01-01T00:00'],
    ['@every 1h30m', '2024-01-01T00:30:00Z', '2024-01-01T02:00'],
  ];
  for (const [schedule, from, due] of table) {
    it(`${schedule} is due at ${due} after ${from}`, () => assert.equal(next(schedule, from), due));
  }

  it('takes either day when both fields narrow, and both when one is a star', () => {
    assert.deepEqual(times('0 0 13 * 5', '2024-01-01T00:00:00Z', { count: 3 }), [
      '2024-01-05T00:00',
      '2024-01-12T00:00',
      '2024-01-13T00:00',
    ]);
    assert.equal(next('0 0 */1 * 5', '2024-01-06T00:00:00Z'), '2024-01-12T00:00');
  });

  it('is never due when there is no such day', () =>
    assert.equal(next('0 0 30 2 *', '2024-01-01T00:00:00Z'), undefined));

  for (const wrong of [
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 7',
  ])
    it(`"${wrong}" is refused`, () => assert.throws(() => parseCron(wrong), RangeError));
  for (const wrong of [
    '5-1 * * * *',
    '*/0 * * * *',
    '1/2/3 * * * *',
    '1-2-3 * * * *',
    'x * * * *',
    '@never',
    '@every x',
  ])
    it(`"${wrong}" is refused`, () => assert.throws(() => parseCron(wrong), RangeError));
});

describe('a cron schedule in a time zone', () => {
  const zone = 'Europe/Berlin';

  it('follows the clock on the wall through both changes of it', () => {
    assert.equal(next('0 9 * * *', '2024-03-30T12:00:00Z', zone), '2024-03-31T07:00');
    assert.equal(next('0 9 * * *', '2024-10-26T12:00:00Z', zone), '2024-10-27T08:00');
  });

  it('leaves out a time that the change skips', () => {
    assert.equal(next('30 2 * * *', '2024-03-30T12:00:00Z', zone), '2024-04-01T00:30');
    assert.deepEqual(times('*/30 * * * *', '2024-03-31T00:15:00Z', { zone, count: 3 }), [
      '2024-03-31T00:30',
      '2024-03-31T01:00',
      '2024-03-31T01:30',
    ]);
  });

  it('is due twice at a time that the change repeats', () => {
    assert.deepEqual(times('30 2 * * *', '2024-10-26T12:00:00Z', { zone, count: 3 }), [
      '2024-10-27T00:30',
      '2024-10-27T01:30',
      '2024-10-28T01:30',
    ]);
  });

  it('knows zones of half hours, and changes of half an hour', () => {
    assert.equal(next('0 0 * * *', '2024-01-01T00:00:00Z', 'Asia/Kolkata'), '2024-01-01T18:30');
    assert.equal(next('0 3 * * *', '2024-04-06T12:00:00Z', 'Australia/Lord_Howe'), '2024-04-06T16:30');
  });

  it('does not lose a midnight that does not exist', () => {
    // Beirut goes from 24:00 to 01:00.
    assert.equal(next('0 1 31 3 *', '2024-03-30T12:00:00Z', 'Asia/Beirut'), '2024-03-30T22:00');
  });

  it('is named by the IANA database alone', () => {
    assert.deepEqual(['Europe/Berlin', 'UTC', 'Etc/GMT+3'].map(isTimeZone), [true, true, true]);
    assert.deepEqual(['Local', '+01:00', 'Mars/Olympus', '../etc'].map(isTimeZone), [false, false, false, false]);
  });

  it('is written with the offset it has at that time', () => {
    assert.equal(zonedTime(Date.parse('2024-07-01T10:00:00Z'), zone), '2024-07-01T12:00:00+02:00');
    assert.equal(zonedTime(Date.parse('2024-01-01T10:00:00Z'), 'America/St_Johns'), '2024-01-01T06:30:00-03:30');
    assert.equal(zonedTime(Date.parse('2024-01-01T10:00:00Z')), '2024-01-01T10:00:00Z');
  });
});

describe('the last time a schedule was due', () => {
  const last = (schedule: string, after: string, until: string) => {
    const range = { afterMs: Date.parse(after), untilMs: Date.parse(until) };
    const { lastMs, missed } = lastTime(parseCron(schedule), range);
    return [lastMs && new Date(lastMs).toISOString().slice(0, 16), missed];
  };

  it('is found among few and among very many', () => {
    assert.deepEqual(last('0 * * * *', '2024-01-01T00:10:00Z', '2024-01-01T00:50:00Z'), [undefined, 0]);
    assert.deepEqual(last('0 * * * *', '2024-01-01T00:10:00Z', '2024-01-01T01:00:00Z'), ['2024-01-01T01:00', 1]);
    assert.deepEqual(last('* * * * *', '2022-01-01T00:00:00Z', '2024-01-01T00:00:30Z'), [
      '2024-01-01T00:00',
      1_051_200,
    ]);
    assert.deepEqual(last('@every 1m', '2022-01-01T00:00:00Z', '2024-01-01T00:00:30Z'), [
      '2024-01-01T00:00',
      1_051_200,
    ]);
  });

  it('is found where times stand in clusters', () => {
    assert.equal(last('0-3 0 1 1 *', '2020-06-01T00:00:00Z', '2024-06-01T00:00:00Z')[0], '2024-01-01T00:03');
  });
});
