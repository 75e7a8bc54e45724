import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logPathOf } from './log-path.ts';

const of = (logPath: string, logDirectory = '/var/log/pods/web/') =>
  logPathOf({ logDirectory }, { logPath, metadata: { name: 'main' } });

test('a log is in its Pod’s directory, or there is none', () => {
  assert.deepEqual(
    [of('main/0.log'), of('/0.log'), of('0.log', '')],
    ['/var/log/pods/web/main/0.log', '/var/log/pods/web/0.log', ''],
  );
  assert.equal(of(''), '');
});

test('a path that leads out, is a directory or cannot be a file is refused in words', () => {
  const words: [string, RegExp][] = [
    ['../../../etc/cron.d/x', /container main: logPath "..\/..\/.*leads out of the sandbox's logDirectory/],
    ['a/../../b', /leads out/],
    ['a\0b', /zero byte/],
    ['main/', /is a directory/],
    ['x'.repeat(256), /over 255 bytes/],
  ];
  assert.throws(() => of('0.log', 'logs/web'), { reason: 'Invalid', message: /not absolute: logs\/web/ });
  for (const [path, message] of words) assert.throws(() => of(path), { reason: 'Invalid', message });
});
