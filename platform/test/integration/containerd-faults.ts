/**
 * Under each containerd: our process is killed at each step of what it asks, itself in the middle, and machines while they are made, used and stopped. Clients do
 * not notice the first, find everything after the second, and are told of the third. Tasks on the host, which are fast, but for the machines.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ContainerdLab, type ContainerdPrograms } from './support/containerd-lab.ts';
import { missingForCri } from './support/cri-lab.ts';
import { holdings, lastingLeaks } from './support/leak-sweep.ts';
import { until } from './support/wait.ts';

const onHost = 'io.containerd.sampan-namespace.v2';
const inMachine = 'io.containerd.sampan.v2';
const buildMs = 590_000;

/** `programs`: of the containerd meant, or why there is none. `every` step, and machines: what does not depend on which containerd it is. */
export function faultTests(
  programs: () => Promise<{ programs?: ContainerdPrograms; missing?: string }>,
  { every }: { every: boolean },
): void {
  let lab: ContainerdLab;
  let missing: string | undefined;
  let points: string;
  let atFirst: string[];
  const swept = () => ({ run: lab.instance.run, home: lab.instance.home, tag: lab.instance.tag });
  const check = (sentence: string, work: () => Promise<void>) =>
    test(sentence, (t) => (missing ? t.skip(missing) : work()));

  before(
    async () => {
      const found = await programs();
      missing = missingForCri() || found.missing;
      if (missing || !found.programs) return;
      points = join(await mkdtemp(join(tmpdir(), 'failpoints-')), 'points');
      await writeFile(points, '');
      process.env.SAMPAN_FAILPOINTS = points;
      process.env.SAMPAN_POOL = '0';
      lab = await ContainerdLab.start(found.programs);
      await life('first');
      // What the first machine of a kind leaves for the next stays.
      await lab.run('first-machine', ['true'], ['--rm'], inMachine);
      atFirst = holdings(swept());
    },
    { timeout: buildMs },
  );
  after(async () => {
    delete process.env.SAMPAN_FAILPOINTS;
    delete process.env.SAMPAN_POOL;
    await lab?.stop();
    if (points) await rm(join(points, '..'), { recursive: true, force: true });
  });
  afterEach(async () => {
    if (!lab) return;
    await writeFile(points, '');
    await lab.clear();
  });

  // The relay starts the service anew, with other descriptors than the lab's.
  const but = /runtime-service\.ts|sampan-launch binds/;
  const sweep = async () => assert.deepEqual(await lastingLeaks(swept(), atFirst, { withinMs: 10_000, but }), []);

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

  const some = [
    ...['task-machine', 'bundle-guest', 'task-answer', 'bundle-started', 'bundle-exec-started'],
    ...['task-delete-rootfs'],
  ];
  const all = [
    ...['task-rootfs', 'task-machine', 'bundle-machine', 'bundle-ready', 'bundle-mounts', 'bundle-guest'],
    ...['bundle-created', 'task-answer', 'bundle-start', 'bundle-started', 'bundle-exec-added', 'bundle-exec-start'],
    ...['bundle-exec-started', 'bundle-exec-delete', 'bundle-kill', 'bundle-exit', 'task-delete-machine'],
    ...['task-delete-rootfs'],
  ];
  for (const step of every ? all : some)
    check(`our process is killed at ${step}`, async () => {
      const [before] = lab.servicePids();
      await writeFile(points, `${step} kill`);
      await life(`at-${step}`);
      await until('another process serves', async () => lab.servicePids().some((pid) => pid !== before), 20_000);
      await sweep();
    });

  const isHeld = (step: string) =>
    until(`${step} is reached`, async () => (await readFile(points, 'utf8')) === `${step} held`, 20_000);
  const script = ['sh', '-c', 'trap "exit 7" TERM; while true; do sleep 0.05; done'];
  const exec = (id: string, name = 'e') => lab.ctr(['task', 'exec', '--exec-id', name, id, 'true']);
  const stop = (id: string) => lab.ctr(['task', 'kill', '-s', 'SIGTERM', id]);
  const remove = (id: string) => lab.ctr(['task', 'rm', id]);
  /** What a client does when the step comes: before the task runs, or to one that does. */
  const moments: [step: string, act: (id: string) => Promise<unknown>, isMade: boolean][] = [
    ['bundle-guest', (id) => lab.run(id, script, ['-d'], onHost), false],
    ['bundle-start', (id) => lab.run(id, script, ['-d'], onHost), false],
    ['bundle-exec-start', exec, true],
    ['bundle-kill', stop, true],
    ['task-delete-machine', remove, true],
  ];
  for (const [step, act, isMade] of moments)
    check(`containerd is killed at ${step}, and the next one knows what is so`, async () => {
      const id = `torn-${step}`;
      if (isMade) assert.equal((await lab.run(id, script, ['-d'], onHost)).code, 0);
      if (act === remove) {
        await stop(id);
        await until('it has stopped', async () => (await lab.state(id)) === 'STOPPED', 20_000);
      }
      await writeFile(points, `${step} hold`);
      const acting = act(id);
      await isHeld(step);
      await lab.killContainerd();
      // Its client waits for the end of what is carried to it.
      await writeFile(points, '');
      await acting;
      await lab.startContainerd();
      const wanted = isMade ? ['RUNNING', 'STOPPED', undefined] : ['CREATED', 'STOPPED', 'RUNNING', undefined];
      assert.ok(wanted.includes(await lab.state(id)), await lab.state(id));
      if (act === exec) assert.equal((await exec(id, 'after')).code, 0);
      await lab.clear();
      await sweep();
    });

  const killMachine = () => {
    for (const pid of lab.machines()) process.kill(pid, 'SIGKILL');
  };
  check('a VMM that is killed under a task ends it and its processes with 137, and whoever waits is told', async () => {
    const attached = lab.run('falls', ['sleep', '1000'], [], inMachine);
    await until('it runs', async () => (await lab.state('falls')) === 'RUNNING', 40_000);
    const events = await lab.events();
    const entered = lab.ctr(['task', 'exec', '--exec-id', 'e', 'falls', 'sleep', '1000']);
    await until('it is entered', async () => events.text().includes('/tasks/exec-started'));
    await events.stop();
    killMachine();
    assert.deepEqual([(await attached).code, (await entered).code], [137, 137]);
    await lab.clear();
    await sweep();
  });

  if (!every) return;
  for (const step of ['bundle-ready', 'bundle-guest', 'bundle-start'])
    check(`a VMM that is killed at ${step} fails the call, and nothing is left of the task`, async () => {
      await writeFile(points, `${step} hold`);
      const running = lab.run('lost', ['sleep', '1000'], ['-d'], inMachine);
      await isHeld(step);
      killMachine();
      await writeFile(points, '');
      const { code, stderr } = await running;
      assert.notEqual(code, 0);
      assert.match(stderr, /machine|agent|sandbox/);
      await lab.clear();
      assert.deepEqual(lab.machines(), []);
      await sweep();
      assert.equal((await lab.run('lost', ['true'], ['--rm'], inMachine)).code, 0, 'its name is free again');
    });

  for (const [step, act] of [
    ['bundle-exec-start', exec],
    ['bundle-kill', stop],
  ] as const)
    check(`a VMM that is killed at ${step}: the call is answered, and the task has ended`, async () => {
      assert.equal((await lab.run('falls', ['sleep', '1000'], ['-d'], inMachine)).code, 0);
      await writeFile(points, `${step} hold`);
      const acting = act('falls');
      await isHeld(step);
      killMachine();
      await writeFile(points, '');
      await acting;
      await until('it has ended', async () => (await lab.state('falls')) === 'STOPPED', 20_000);
      assert.match((await remove('falls')).stderr, /exit code 137/);
      await lab.clear();
      await sweep();
    });
}
