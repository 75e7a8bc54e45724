import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { CommandShell } from './command-shell.ts';

test('commands get their input as it is and give their output and exit code', async () => {
  const shell = new CommandShell();
  const input = 'line $HOME `id` \\ "quoted"\nEOF\nend-00 1';
  const [echo, failed] = await Promise.all([shell.run('cat', input), shell.run('sh -c "echo no >&2; exit 7"', '')]);
  assert.deepEqual(echo, { code: 0, output: `${input}\n` });
  assert.deepEqual(failed, { code: 7, output: 'no\n' });
});

test('a shell that died fails its command and is replaced for the next', async () => {
  const shell = new CommandShell();
  await assert.rejects(shell.run('exec true', ''), (error) => isReason(error, 'InternalError'));
  assert.equal((await shell.run('echo again', '')).output, 'again\n');
});
