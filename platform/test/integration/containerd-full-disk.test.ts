/** The disk on which bundles are noted is full, under Debian's containerd: what cannot be done says so, what runs goes on, and all can be taken away. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { command } from './support/command.ts';
import { ContainerdLab } from './support/containerd-lab.ts';
import { missingForCri } from './support/cri-lab.ts';
import { holdings, lastingLeaks } from './support/leak-sweep.ts';
import { until } from './support/wait.ts';

const onHost = 'io.containerd.sampan-namespace.v2';
const script = ['sh', '-c', 'trap "exit 7" TERM; while true; do sleep 0.05; done'];

describe('the disk of bundles is full', { skip: missingForCri() }, () => {
  let lab: ContainerdLab;
  let points: string;
  let disk: string;
  let atFirst: string[];
  const swept = () => ({ run: lab.instance.run, home: lab.instance.home, tag: lab.instance.tag });

  before(async () => {
    points = join(await mkdtemp(join(tmpdir(), 'failpoints-')), 'points');
    await writeFile(points, '');
    process.env.SAMPAN_FAILPOINTS = points;
    process.env.SAMPAN_POOL = '0';
    lab = await ContainerdLab.start();
    disk = join(lab.instance.run, 'bundles');
    await lab.killService();
    const mounted = await command('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk]);
    assert.equal(mounted.code, 0, mounted.stderr);
    await lab.startService();
    assert.equal((await lab.run('first', ['true'], ['--rm'], onHost)).code, 0);
    atFirst = holdings(swept());
  });
  after(async () => {
    delete process.env.SAMPAN_FAILPOINTS;
    delete process.env.SAMPAN_POOL;
    if (lab) {
      await empty();
      await lab.clear();
      await lab.killService();
      await command('umount', ['--lazy', disk]);
      await lab.stop();
    }
    if (points) await rm(join(points, '..'), { recursive: true, force: true });
  });
  afterEach(async () => {
    await writeFile(points, '');
    await empty();
    await lab.clear();
  });

  const fill = () => assert.rejects(writeFile(join(disk, 'filler'), Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  const empty = () => rm(join(disk, 'filler'), { force: true });
  const exec = (id: string) => lab.ctr(['task', 'exec', '--exec-id', 'e', id, 'sh', '-c', 'exit 5']);
  const start = (id: string) => lab.run(id, script, ['-d'], onHost);

  // The relay starts the service anew, with other descriptors than the lab's.
  const but = /runtime-service\.ts|sampan-launch binds/;
  const sweep = async () => assert.deepEqual(await lastingLeaks(swept(), atFirst, { withinMs: 10_000, but }), []);

  it('a task is not made, which is said, and leaves nothing; with room it is made', async () => {
    await fill();
    const refused = await start('one');
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /no space left on device/);
    assert.equal(await lab.state('one'), undefined);
    await lab.clear();
    await empty();
    await sweep();
    assert.equal((await start('one')).code, 0);
  });

  it('a task that runs goes on, is not entered, and can be ended and taken away', async () => {
    assert.equal((await start('two')).code, 0);
    await fill();
    const refused = await exec('two');
    assert.match(refused.stderr, /no space left on device/);
    assert.equal(await lab.state('two'), 'RUNNING');
    assert.equal((await lab.ctr(['task', 'kill', '-s', 'SIGTERM', 'two'])).code, 0);
    await until('it has stopped', async () => (await lab.state('two')) === 'STOPPED', 20_000);
    assert.match((await lab.ctr(['task', 'rm', 'two'])).stderr, /exit code 7/);
    await lab.clear();
    await empty();
    await sweep();
    assert.equal((await start('two')).code, 0);
    assert.equal((await exec('two')).code, 5);
  });

  it('a task that is being made when it fills runs, or leaves nothing; our process finds what runs though that is not on disk', async () => {
    for (const step of ['bundle-machine', 'bundle-stdio', 'bundle-guest', 'bundle-start']) {
      await writeFile(points, `${step} hold`);
      const starting = start(step);
      const reached = async () => (await command('cat', [points])).stdout === `${step} held`;
      await until(`${step} is reached`, reached, 20_000);
      await fill();
      await writeFile(points, '');
      const { code, stderr } = await starting;
      if (code === 0) {
        const [before] = lab.servicePids();
        process.kill(before!, 'SIGKILL');
        await until('another serves', async () => lab.servicePids().some((pid) => pid !== before), 20_000);
        assert.equal(await lab.state(step), 'RUNNING', step);
      } else {
        assert.match(stderr, /no space left on device/, step);
        assert.equal(await lab.state(step), undefined, step);
      }
      await lab.clear();
      await empty();
      await sweep();
    }
  });
});
