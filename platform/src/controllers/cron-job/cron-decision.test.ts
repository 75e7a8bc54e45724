import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JobObject } from '../job/job-facts.ts';
import { type CronJobObject, decideCronJob } from './cron-decision.ts';

const at = (time: string) => Date.parse(`2024-03-01T${time}Z`);
const created = '2024-03-01T00:00:30Z';

function cron(spec: Partial<CronJobObject['spec']> = {}, status: CronJobObject['status'] = {}): CronJobObject {
  return {
    metadata: { name: 'tick', namespace: 'default', uid: 'u', creationTimestamp: created },
    spec: {
      schedule: '*/5 * * * *',
      concurrencyPolicy: 'Allow',
      jobTemplate: { metadata: { labels: { a: 'b' } }, spec: { template: {} } },
      ...spec,
    },
    status,
  };
}

function job(name: string, end?: 'Complete' | 'Failed', startTime = created): JobObject {
  const conditions = end ? [{ type: end, status: 'True' }] : [];
  return { metadata: { name, namespace: 'default', uid: `uid-${name}` }, status: { startTime, conditions } };
}

describe('a CronJob', () => {
  it('waits for the next time when nothing is due', () => {
    const { start, wakeAtMs } = decideCronJob(cron(), [], at('00:01:00'));
    assert.deepEqual([start, wakeAtMs], [undefined, at('00:05:00')]);
  });

  it('starts what is due, under a name that tells the minute', () => {
    const { start, status } = decideCronJob(cron(), [], at('00:05:02'));
    assert.equal(start?.metadata?.name, `tick-${at('00:05:00') / 60_000}`);
    assert.deepEqual(start?.metadata?.labels, { a: 'b' });
    assert.equal(start?.metadata?.ownerReferences?.[0]?.uid, 'u');
    assert.equal(status.lastScheduleTime, '2024-03-01T00:05:00Z');
  });

  it('tells the time it was scheduled for as the clock of its zone shows it', () => {
    const { start } = decideCronJob(cron({ timeZone: 'Asia/Tokyo' }), [], at('00:05:02'));
    const key = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
    assert.equal(start?.metadata?.annotations?.[key], '2024-03-01T09:05:00+09:00');
  });

  it('does not start the same time twice, neither from its status nor from a Job whose note was lost', () => {
    const known = cron({}, { lastScheduleTime: '2024-03-01T00:05:00Z' });
    assert.equal(decideCronJob(known, [], at('00:06:00')).start, undefined);
    const lost = decideCronJob(cron(), [job(`tick-${at('00:05:00') / 60_000}`)], at('00:06:00'));
    assert.deepEqual([lost.start, lost.status.lastScheduleTime], [undefined, '2024-03-01T00:05:00Z']);
  });

  it('makes up once for however many times were missed, and tells when they were very many', () => {
    const few = decideCronJob(cron(), [], at('01:00:00'));
    assert.deepEqual([few.status.lastScheduleTime, few.events], ['2024-03-01T01:00:00Z', []]);
    const many = decideCronJob(cron({ schedule: '* * * * *' }), [], at('03:00:00'));
    assert.equal(many.status.lastScheduleTime, '2024-03-01T03:00:00Z');
    assert.deepEqual(
      many.events.map(({ reason }) => reason),
      ['TooManyMissedTimes'],
    );
  });

  it('lets go what is older than its starting deadline', () => {
    const late = cron({ startingDeadlineSeconds: 60 });
    assert.equal(decideCronJob(late, [], at('00:06:30')).start, undefined);
    assert.ok(decideCronJob(late, [], at('00:05:30')).start);
  });

  it('starts nothing while suspended', () => {
    const { start, wakeAtMs } = decideCronJob(cron({ suspend: true }), [], at('00:05:02'));
    assert.deepEqual([start, wakeAtMs], [undefined, undefined]);
  });

  it('forbids, replaces or allows a second run beside the first', () => {
    const running = [job('tick-1')];
    const forbidden = decideCronJob(cron({ concurrencyPolicy: 'Forbid' }), running, at('00:05:02'));
    assert.deepEqual([forbidden.start, forbidden.events[0]?.reason], [undefined, 'JobAlreadyActive']);
    assert.equal(forbidden.status.lastScheduleTime, undefined);
    const replaced = decideCronJob(cron({ concurrencyPolicy: 'Replace' }), running, at('00:05:02'));
    assert.ok(replaced.start);
    assert.deepEqual(replaced.replace, running);
    const allowed = decideCronJob(cron(), running, at('00:05:02'));
    assert.ok(allowed.start);
    assert.deepEqual(allowed.replace, []);
  });

  it('keeps as many finished Jobs as it is told, the youngest of each kind', () => {
    const jobs = [
      job('good-2', 'Complete', '2024-03-01T02:00:00Z'),
      job('good-1', 'Complete', '2024-03-01T01:00:00Z'),
      job('bad-2', 'Failed', '2024-03-01T02:00:00Z'),
      job('bad-1', 'Failed', '2024-03-01T01:00:00Z'),
      job('running'),
    ];
    const limits = { successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 };
    const { forget, status } = decideCronJob(cron(limits), jobs, at('00:01:00'));
    assert.deepEqual(
      forget.map(({ metadata }) => metadata?.name),
      ['good-1', 'bad-1', 'bad-2'],
    );
    assert.deepEqual(
      status.active?.map(({ name }) => name),
      ['running'],
    );
  });

  it('tells of a zone that the machine no longer knows, and starts nothing', () => {
    const { start, events } = decideCronJob(cron({ timeZone: 'Mars/Olympus' }), [], at('00:05:02'));
    assert.deepEqual([start, events[0]?.reason], [undefined, 'UnknownTimeZone']);
  });
});
