/** The disk on which bundles are noted is full, under Debian's containerd: what cannot be done says so, what runs goes on, and all can be taken away. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { command } from './support/command.ts';
import type { ContainerdLab } from './support/containerd-lab.ts';
import { missingForCri } from './support/cri-lab.ts';
import { FaultyContainerd, onHost } from './support/faulty-containerd.ts';
import { until } from './support/wait.ts';

describe('the disk of bundles is full', { skip: missingForCri() }, () => {
  let faulty: FaultyContainerd;
  let lab: ContainerdLab;
  let disk: string;

  before(async () => {
    faulty = await FaultyContainerd.open();
    lab = faulty.lab;
    disk = join(lab.instance.run, 'bundles');
    await lab.killService();
    const mounted = await command('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk]);
    assert.equal(mounted.code, 0, mounted.stderr);
    await lab.startService();
    assert.equal((await lab.run('first', ['true'], ['--rm'], onHost)).code, 0);
    faulty.remember();
  });
  after(async () => {
    if (!faulty) return;
    await empty();
    await lab.clear();
    await lab.killService();
    await command('umount', ['--lazy', disk]);
    await faulty[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    await faulty.at('');
    await empty();
    await lab.clear();
  });

  const fill = () => assert.rejects(writeFile(join(disk, 'filler'), Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  const empty = () => rm(join(disk, 'filler'), { force: true });
  const exec = (id: string) => faulty.exec(id, 'e', ['sh', '-c', 'exit 5']);

  it('a task is not made, which is said, and leaves nothing; with room it is made', async () => {
    await fill();
    const refused = await faulty.start('one');
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /no space left on device/);
    assert.equal(await lab.state('one'), undefined);
    await lab.clear();
    await empty();
    await faulty.sweep();
    assert.equal((await faulty.start('one')).code, 0);
  });

  it('a task that runs goes on, is not entered, and can be ended and taken away', async () => {
    assert.equal((await faulty.start('two')).code, 0);
    await fill();
    const refused = await exec('two');
    assert.match(refused.stderr, /no space left on device/);
    assert.equal(await lab.state('two'), 'RUNNING');
    assert.equal((await faulty.stop('two')).code, 0);
    await faulty.stopped('two');
    assert.match((await faulty.remove('two')).stderr, /exit code 7/);
    await lab.clear();
    await empty();
    await faulty.sweep();
    assert.equal((await faulty.start('two')).code, 0);
    assert.equal((await exec('two')).code, 5);
  });

  it('a task that is being made when it fills runs, or leaves nothing; our process finds what runs though that is not on disk', async () => {
    for (const step of ['bundle-machine', 'bundle-stdio', 'bundle-guest', 'bundle-start']) {
      await faulty.at(`${step} hold`);
      const starting = faulty.start(step);
      await faulty.held(step);
      await fill();
      await faulty.at('');
      const { code, stderr } = await starting;
      if (code === 0) {
        const [before] = lab.servicePids();
        process.kill(before!, 'SIGKILL');
        await until('another serves', async () => lab.servicePids().some((pid) => pid !== before));
        assert.equal(await lab.state(step), 'RUNNING', step);
      } else {
        assert.match(stderr, /no space left on device/, step);
        assert.equal(await lab.state(step), undefined, step);
      }
      await lab.clear();
      await empty();
      await faulty.sweep();
    }
  });
});
