/** The command `sampan cri` as whoever types it meets it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { command } from './support/command.ts';
import { missingForCri } from './support/cri-lab.ts';
import { tearDown } from './support/own-process.ts';
import { until } from './support/wait.ts';

const root = join(import.meta.dirname, '../../..');
const main = ['--disable-warning=ExperimentalWarning', join(root, 'cli/src/main.ts')];

describe('sampan cri', { skip: missingForCri() }, () => {
  let home: string;
  let env: NodeJS.ProcessEnv;
  const started: ChildProcess[] = [];

  before(async () => {
    home = await mkdtemp('/var/tmp/sampan-cri-command-');
    env = { ...process.env, SAMPAN_HOME: home, SAMPAN_ROOT: root, SAMPAN_POOL: '0' };
  });
  after(async () => {
    for (const child of started) child.kill('SIGKILL');
    await until('the instance is torn down', async () => {
      const { code } = await tearDown(env);
      return code === 0 ? true : undefined;
    });
    await rm(home, { recursive: true, force: true });
  });

  const socketPath = () => join(home, 'cri.sock');

  /** Resolves when it says that it is ready. */
  async function start(): Promise<{ child: ChildProcess; ended: Promise<number | null> }> {
    const args = [...main, 'cri', '--listen', `unix://${socketPath()}`, '--home', home];
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    started.push(child);
    let said = '';
    child.stdout.resume();
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await until('it is ready', async () => {
      assert.equal(child.exitCode, null, said);
      return said.includes(`serves CRI v1 at unix://${socketPath()}`) ? true : undefined;
    });
    return { child, ended };
  }

  it('says when it is ready, and ends with 0 and without its socket on SIGTERM', async () => {
    const { child, ended } = await start();
    assert.ok(existsSync(socketPath()));
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    assert.equal(existsSync(socketPath()), false);
  });

  it('leaves no process behind when it is killed, and another may start at once after', async () => {
    const { child, ended } = await start();
    child.kill('SIGKILL');
    await ended;
    await until('the socket is gone', async () => !existsSync(socketPath()));
    const next = await start();
    next.child.kill('SIGINT');
    assert.equal(await next.ended, 0);
  });

  it('refuses what is no unix socket, with words', async () => {
    const { code, stderr } = await command(process.execPath, [...main, 'cri', '--listen', 'tcp://127.0.0.1:1'], {
      env,
    });
    assert.notEqual(code, 0);
    assert.match(stderr, /CRI is served on a unix socket/);
  });
});
