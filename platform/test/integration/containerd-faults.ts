/**
 * Under each containerd: our process is killed at each step of what it asks, itself in the middle, and machines while they are made, used and stopped. Clients do
 * not notice the first, find everything after the second, and are told of the third. Tasks on the host, which are fast, but for the machines.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { ContainerdPrograms } from './support/containerd-lab.ts';
import { missingForCri } from './support/cri-lab.ts';
import { FaultyContainerd, inMachine } from './support/faulty-containerd.ts';
import { until } from './support/wait.ts';

const buildMs = 590_000;
/** Runs when nobody tells it to end. */
const sleeping = ['sleep', '1000'];

type Check = (sentence: string, work: (faulty: FaultyContainerd) => Promise<void>) => void;

/** `programs`: of the containerd meant, or why there is none. `every` step, and machines: what does not depend on which containerd it is. */
export function faultTests(
  programs: () => Promise<{ programs?: ContainerdPrograms; missing?: string }>,
  { every }: { every: boolean },
): void {
  let faulty: FaultyContainerd | undefined;
  let missing: string | undefined;
  before(
    async () => {
      const found = await programs();
      missing = missingForCri() || found.missing;
      if (missing || !found.programs) return;
      faulty = await FaultyContainerd.open(found.programs);
      await life(faulty, 'first');
      // What the first machine of a kind leaves for the next stays.
      await faulty.lab.run('first-machine', ['true'], ['--rm'], inMachine);
      faulty.remember();
    },
    { timeout: buildMs },
  );
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty?.clear());
  const check: Check = (sentence, work) => {
    test(sentence, (t) => (missing ? t.skip(missing) : work(faulty!)));
  };
  ourProcessKilled(check, every ? allSteps : someSteps);
  containerdKilled(check);
  machineKilled(check);
  if (every) machineKilledAtSteps(check);
}

const someSteps = [
  ...['task-machine', 'bundle-guest', 'task-answer', 'bundle-started', 'bundle-exec-started'],
  ...['task-delete-rootfs'],
];
const allSteps = [
  ...['task-rootfs', 'task-machine', 'bundle-machine', 'bundle-ready', 'bundle-mounts', 'bundle-guest'],
  ...['bundle-created', 'task-answer', 'bundle-start', 'bundle-started', 'bundle-exec-added', 'bundle-exec-start'],
  ...['bundle-exec-started', 'bundle-exec-delete', 'bundle-kill', 'bundle-exit', 'task-delete-machine'],
  ...['task-delete-rootfs'],
];

/** A task's life as ctr leads it. */
async function life(faulty: FaultyContainerd, id: string): Promise<void> {
  const { lab } = faulty;
  const run = await faulty.start(id);
  assert.equal(run.code, 0, run.stderr);
  assert.equal(await lab.state(id), 'RUNNING');
  const exec = await faulty.exec(id, 'e', ['sh', '-c', 'exit 5']);
  assert.equal(exec.code, 5, exec.stderr);
  const kill = await faulty.stop(id);
  assert.equal(kill.code, 0, kill.stderr);
  await faulty.stopped(id);
  // A deletion that was carried out but not answered is told as such when it is asked for again.
  assert.match((await faulty.remove(id)).stderr, /exit code 7|not found/);
  assert.equal(await lab.state(id), undefined);
  assert.equal((await lab.ctr(['container', 'rm', id])).code, 0);
}

function ourProcessKilled(check: Check, steps: string[]): void {
  for (const step of steps)
    check(`our process is killed at ${step}`, async (faulty) => {
      const { lab } = faulty;
      const [before] = lab.servicePids();
      await faulty.at(`${step} kill`);
      await life(faulty, `at-${step}`);
      await until('another process serves', async () => lab.servicePids().some((pid) => pid !== before));
      await faulty.sweep();
    });
}

/** What a client does when the step comes, and what has to be so afterwards. */
interface Moment {
  step: string;
  /** To a task that runs; else it makes one. */
  isMade: boolean;
  act(faulty: FaultyContainerd, id: string): Promise<unknown>;
  becomes(faulty: FaultyContainerd, id: string): Promise<unknown>;
}

/** Whether the task was made or not: one that is told to run can be entered. */
async function isEntered(faulty: FaultyContainerd, id: string): Promise<void> {
  if ((await faulty.lab.state(id)) === 'RUNNING') assert.equal((await faulty.exec(id, 'after')).code, 0);
}

const moments: Moment[] = [
  ...['bundle-guest', 'bundle-start'].map(
    (step): Moment => ({ step, isMade: false, act: (faulty, id) => faulty.start(id), becomes: isEntered }),
  ),
  {
    ...{ step: 'bundle-exec-start', isMade: true, act: (faulty, id) => faulty.exec(id) },
    becomes: async (faulty, id) => assert.equal((await faulty.exec(id, 'after')).code, 0),
  },
  {
    ...{ step: 'bundle-kill', isMade: true, act: (faulty, id) => faulty.stop(id) },
    becomes: (faulty, id) => faulty.stopped(id),
  },
  {
    ...{ step: 'task-delete-machine', isMade: true },
    act: async (faulty, id) => {
      await faulty.stop(id);
      await faulty.stopped(id);
      return faulty.remove(id);
    },
    becomes: async (faulty, id) => assert.notEqual(await faulty.lab.state(id), 'RUNNING'),
  },
];

function containerdKilled(check: Check): void {
  for (const { step, isMade, act, becomes } of moments)
    check(`containerd is killed at ${step}, and the next one knows what is so`, async (faulty) => {
      const { lab } = faulty;
      const id = `torn-${step}`;
      if (isMade) assert.equal((await faulty.start(id)).code, 0);
      await faulty.at(`${step} hold`);
      const acting = act(faulty, id);
      await faulty.held(step);
      await lab.killContainerd();
      // Its client waits for the end of what is carried to it.
      await faulty.at('');
      await acting;
      await lab.startContainerd();
      await becomes(faulty, id);
      await lab.clear();
      await faulty.sweep();
    });
}

function killMachines({ lab }: FaultyContainerd): void {
  for (const pid of lab.machines()) process.kill(pid, 'SIGKILL');
}

function machineKilled(check: Check): void {
  check(
    'a VMM that is killed under a task ends it and its processes with 137, and whoever waits is told',
    async (faulty) => {
      const { lab } = faulty;
      const attached = lab.run('falls', sleeping, [], inMachine);
      await until('it runs', async () => (await lab.state('falls')) === 'RUNNING');
      const events = await lab.events();
      const entered = faulty.exec('falls', 'e', sleeping);
      await until('it is entered', async () => events.text().includes('/tasks/exec-started'));
      await events.stop();
      killMachines(faulty);
      assert.deepEqual([(await attached).code, (await entered).code], [137, 137]);
      await lab.clear();
      await faulty.sweep();
    },
  );
}

function machineKilledAtSteps(check: Check): void {
  for (const step of ['bundle-ready', 'bundle-guest', 'bundle-start'])
    check(`a VMM that is killed at ${step} fails the call, and nothing is left of the task`, async (faulty) => {
      const { lab } = faulty;
      await faulty.at(`${step} hold`);
      const running = faulty.start('lost', inMachine, sleeping);
      await faulty.held(step);
      killMachines(faulty);
      await faulty.at('');
      const { code, stderr } = await running;
      assert.notEqual(code, 0);
      assert.match(stderr, /machine|agent|sandbox/);
      await lab.clear();
      assert.deepEqual(lab.machines(), []);
      await faulty.sweep();
      assert.equal((await lab.run('lost', ['true'], ['--rm'], inMachine)).code, 0, 'its name is free again');
    });
  for (const [step, act] of [
    ['bundle-exec-start', 'exec'],
    ['bundle-kill', 'stop'],
  ] as const)
    check(`a VMM that is killed at ${step}: the call is answered, and the task has ended`, async (faulty) => {
      assert.equal((await faulty.start('falls', inMachine, sleeping)).code, 0);
      await faulty.at(`${step} hold`);
      const acting = faulty[act]('falls');
      await faulty.held(step);
      killMachines(faulty);
      await faulty.at('');
      await acting;
      await faulty.stopped('falls');
      assert.match((await faulty.remove('falls')).stderr, /exit code 137/);
      await faulty.lab.clear();
      await faulty.sweep();
    });
}
