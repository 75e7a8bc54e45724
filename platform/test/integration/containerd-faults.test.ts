/**
 * Our process is killed at each step of what containerd asks of it, and containerd in the middle: containerd's clients do not notice the first, and find everything
 * after the second. Tasks on the host, which are fast.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { ContainerdLab } from './support/containerd-lab.ts';
import { missingForCri } from './support/cri-lab.ts';
import { holdings, lastingLeaks } from './support/leak-sweep.ts';
import { until } from './support/wait.ts';

const onHost = 'io.containerd.sampan-namespace.v2';

describe('containerd over a process that is killed', { skip: missingForCri() }, () => {
  let lab: ContainerdLab;
  let points: string;
  let atFirst: string[];
  const swept = () => ({ run: lab.instance.run, home: lab.instance.home, tag: lab.instance.tag });

  before(async () => {
    points = join(await mkdtemp(join(tmpdir(), 'failpoints-')), 'points');
    await writeFile(points, '');
    process.env.SAMPAN_FAILPOINTS = points;
    process.env.SAMPAN_POOL = '0';
    lab = await ContainerdLab.start();
    await life('first');
    atFirst = holdings(swept());
  });
  after(async () => {
    delete process.env.SAMPAN_FAILPOINTS;
    delete process.env.SAMPAN_POOL;
    await lab?.stop();
    await rm(join(points, '..'), { recursive: true, force: true });
  });
  afterEach(async () => {
    await writeFile(points, '');
    await lab.clear();
  });

  async function sweep(): Promise<void> {
    // The relay starts the service anew, with other descriptors than the lab's.
    const but = /runtime-service\.ts|sampan-launch binds/;
    const left = await lastingLeaks(swept(), atFirst, { withinMs: 10_000, but });
    assert.deepEqual(left, []);
  }

  /** A task's life as ctr leads it. */
  async function life(id: string): Promise<void> {
    const script = 'trap "exit 7" TERM; while true; do sleep 0.05; done';
    const run = await lab.run(id, ['sh', '-c', script], ['-d'], onHost);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(await lab.state(id), 'RUNNING');
    const exec = await lab.ctr(['task', 'exec', '--exec-id', 'e', id, 'sh', '-c', 'exit 5']);
    assert.equal(exec.code, 5, exec.stderr);
    const kill = await lab.ctr(['task', 'kill', '-s', 'SIGTERM', id]);
    assert.equal(kill.code, 0, kill.stderr);
    await until('it has stopped', async () => (await lab.state(id)) === 'STOPPED', 20_000);
    const removed = await lab.ctr(['task', 'rm', id]);
    // A deletion that was carried out but not answered is told as such when it is asked for again.
    assert.match(removed.stderr, /exit code 7|not found/);
    assert.equal(await lab.state(id), undefined);
    assert.equal((await lab.ctr(['container', 'rm', id])).code, 0);
  }

  const steps = [
    ...['task-rootfs', 'task-machine', 'bundle-machine', 'bundle-ready', 'bundle-mounts', 'bundle-guest'],
    ...['bundle-created', 'task-answer', 'bundle-start', 'bundle-started', 'bundle-exec-added', 'bundle-exec-start'],
    ...['bundle-exec-started', 'bundle-exec-delete', 'bundle-kill', 'bundle-exit', 'task-delete-machine'],
    ...['task-delete-rootfs'],
  ];
  for (const step of steps)
    it(`killed at ${step}`, async () => {
      const [before] = lab.servicePids();
      await writeFile(points, `${step} kill`);
      await life(`at-${step}`);
      await until('another process serves', async () => lab.servicePids().some((pid) => pid !== before), 20_000);
      await sweep();
    });

  it('containerd is killed while a task is made, and the next one knows of it or of nothing', async () => {
    await writeFile(points, 'bundle-guest hold');
    const running = lab.run('torn', ['sleep', '1000'], ['-d'], onHost);
    await until('the step is reached', async () => lab.machines().length === 1, 20_000);
    await lab.killContainerd();
    await running;
    await writeFile(points, '');
    await lab.startContainerd();
    const state = await lab.state('torn');
    assert.ok(state === undefined || state === 'CREATED' || state === 'STOPPED', state);
    await lab.clear();
    await sweep();
  });
});
