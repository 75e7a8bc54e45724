import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { readExecOptions, readLogOptions, readPorts } from './options.ts';

const query = (text: string) => new URLSearchParams(text);

test('exec options are read as Kubernetes reads them; a terminal swallows stderr', () => {
  assert.deepEqual(readExecOptions(query('command=ls&command=-l&stdin=1&stdout=True&stderr=t&tty=false'), 'main'), {
    container: 'main',
    command: ['ls', '-l'],
    stdin: true,
    stdout: true,
    stderr: true,
    tty: false,
  });
  assert.equal(readExecOptions(query('command=sh&stdout=true&stderr=true&tty=true'), 'main').stderr, false);
});

test('ports come one by one or with commas, and are bounded', () => {
  assert.deepEqual(readPorts(query('ports=80&ports=81,82')), [80, 81, 82]);
  for (const text of ['', 'ports=', 'ports=65536', 'ports=-1', 'ports=1e3', `ports=${'1,'.repeat(101)}1`]) {
    assert.throws(
      () => readPorts(query(text)),
      (error) => isReason(error, 'BadRequest'),
      text,
    );
  }
});

test('log options: since, tail and limits, with the field named that is wrong', () => {
  const now = Date.UTC(2030, 0, 1);
  const options = readLogOptions(
    query('follow=true&tailLines=0&limitBytes=9&sinceSeconds=60&timestamps=1'),
    'main',
    now,
  );
  assert.deepEqual(options, {
    container: 'main',
    follow: true,
    previous: false,
    timestamps: true,
    tailLines: 0,
    limitBytes: 9,
    sinceTime: new Date(now - 60_000),
  });
  assert.deepEqual(
    readLogOptions(query('sinceTime=2030-01-01T00:00:00%2B01:00'), 'x', now).sinceTime,
    new Date(now - 3_600_000),
  );
  assert.throws(
    () => readLogOptions(query('tailLines=-1'), 'x', now),
    (error) => isReason(error, 'Invalid') && error.details.causes?.[0]?.field === 'tailLines',
  );
  assert.throws(
    () => readLogOptions(query('limitBytes=0'), 'x', now),
    (error) => isReason(error, 'Invalid'),
  );
  assert.throws(
    () => readLogOptions(query('tailLines=many'), 'x', now),
    (error) => isReason(error, 'BadRequest'),
  );
  assert.throws(
    () => readLogOptions(query('sinceTime=yesterday'), 'x', now),
    (error) => isReason(error, 'BadRequest'),
  );
  assert.throws(
    () => readLogOptions(query('sinceSeconds=1&sinceTime=2030-01-01T00:00:00Z'), 'x', now),
    (error) => isReason(error, 'Invalid'),
  );
  assert.throws(
    () => readLogOptions(query('stream=Stderr'), 'x', now),
    (error) => isReason(error, 'Unsupported'),
  );
});
