import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ageOf, canonicalMicroTime, canonicalTime, humanDuration, parseTime } from './time.ts';

describe('times', () => {
  it('prints durations as kubectl does', () => {
    const second = 1000;
    const minute = 60 * second;
    const hour = 60 * minute;
    const day = 24 * hour;
    const cases: [number, string][] = [
      [-5 * second, '<invalid>'],
      [-second, '0s'],
      [0, '0s'],
      [119 * second, '119s'],
      [2 * minute, '2m'],
      [2 * minute + second, '2m1s'],
      [10 * minute + second, '10m'],
      [179 * minute, '179m'],
      [3 * hour, '3h'],
      [3 * hour + 5 * minute, '3h5m'],
      [8 * hour + 5 * minute, '8h'],
      [47 * hour, '47h'],
      [48 * hour, '2d'],
      [49 * hour, '2d1h'],
      [8 * day + hour, '8d'],
      [729 * day, '729d'],
      [730 * day, '2y'],
      [740 * day, '2y10d'],
      [8 * 365 * day + 3 * day, '8y'],
    ];
    for (const [ms, wanted] of cases) assert.equal(humanDuration(ms), wanted, `${ms} ms`);
  });

  it('reads RFC 3339 and nothing else', () => {
    assert.equal(parseTime('2024-01-01T00:00:00Z'), Date.UTC(2024, 0, 1));
    assert.equal(parseTime('2024-01-01T02:00:00.5+02:00'), Date.UTC(2024, 0, 1) + 500);
    for (const text of ['2024-01-01', '2024-01-01 00:00:00Z', 'now', '2024-13-01T00:00:00Z', 5, null, undefined]) {
      assert.equal(parseTime(text), undefined);
    }
    assert.equal(ageOf(undefined, 0), '<unknown>');
    assert.equal(ageOf('2024-01-01T00:00:00Z', Date.UTC(2024, 0, 1, 0, 0, 7)), '7s');
  });

  it('writes the canonical forms', () => {
    assert.equal(canonicalTime('2024-01-01T02:00:00.9+02:00'), '2024-01-01T00:00:00Z');
    assert.equal(canonicalMicroTime('2024-01-01T02:00:00.123456789+02:00'), '2024-01-01T00:00:00.123456Z');
    assert.equal(canonicalMicroTime('2024-01-01T00:00:00Z'), '2024-01-01T00:00:00.000000Z');
  });
});
