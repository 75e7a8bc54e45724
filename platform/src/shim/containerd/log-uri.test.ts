import assert from 'node:assert/strict';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BundleExec, BundleRuntime } from '../../runtime/bundles/bundle-runtime.ts';
import { stdioOf } from './log-uri.ts';
import * as messages from './task-messages.ts';
import { type TaskServiceOptions, taskMethods } from './task-service.ts';

const target = { namespace: 'default', id: 'one', bundle: '/b' };

test('where output goes is known before anything is made for it', () => {
  const of = (stdout: string, stderr?: string) => stdioOf({ stdout, ...(stderr ? { stderr } : {}) }, target);
  assert.deepEqual(of('/a/fifo', '/b/fifo'), { stdout: '/a/fifo', stderr: '/b/fifo' });
  assert.deepEqual(of('fifo:///a%20b', 'fifo:///c'), { stdout: '/a b', stderr: '/c' });
  assert.deepEqual(of('file:///var/log/x'), { stdout: '/var/log/x', stderr: '/var/log/x' });
  assert.deepEqual(of('binary:///logger?k=v'), { stdout: '/b/one.out', stderr: '/b/one.err' });
  assert.throws(() => of('tcp://127.0.0.1:1'), /output to tcp:\/\/: wanted file, binary or fifo/);
});

test('an exec that is asked for twice has one logging program', async () => {
  const bundle = await mkdtemp(join(tmpdir(), 'log-uri-'));
  const logger = join(bundle, 'logger');
  await writeFile(logger, `#!/bin/sh\necho begun >> ${bundle}/begun\nexec 5>&-\ncat <&3 > /dev/null\n`, {
    mode: 0o755,
  });
  const execs: BundleExec[] = [];
  const bundles = {
    container: () => ({ bundle }),
    listExecs: () => execs,
    addExec: async (exec: object) => void execs.push({ ...exec, state: 'created' } as BundleExec),
  } as unknown as BundleRuntime;
  const methods = taskMethods({ door: '0123abcd', namespace: 'default', bundles } as unknown as TaskServiceOptions);
  const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value: Buffer.from('{}') };
  const request = {
    id: 'box',
    execId: 'one',
    terminal: false,
    stdin: '',
    stdout: `binary://${logger}`,
    stderr: '',
    spec,
  };
  const payload = messages.execRequest.encode(request);
  for (const _time of [1, 2]) await methods.get('containerd.task.v2.Task/Exec')!({ payload } as never);
  assert.equal(execs.length, 1);
  assert.equal(await readFile(join(bundle, 'begun'), 'utf8'), 'begun\n');
});
