/**
 * What CRI says when a part under it dies or hangs: the agent (PID 1 of a sandbox on the host) at rest and at each step, crun in the middle of a start; and
 * calls that cross each other. No call outlasts its deadline, no answer lies, nothing is left.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import * as cri from '../../src/runtime/generated/cri.ts';
import { missingForCri } from './support/cri-lab.ts';
import { endsTheSilent, FaultyCri, PodLife } from './support/faulty-cri.ts';
import { vmmPids } from './support/instance.ts';
import { until } from './support/wait.ts';

const { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED } = cri.ContainerState;
const { SANDBOX_READY, SANDBOX_NOTREADY } = cri.PodSandboxState;

describe('CRI over parts that die, sandboxes on the host', { skip: missingForCri() }, () => {
  let faulty: FaultyCri;
  before(async () => {
    faulty = await FaultyCri.open('cri-casualties', 'namespace');
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());

  /** The one machine there is. */
  const agentPid = (): number => {
    const [pid] = vmmPids(faulty.swept);
    assert.ok(pid, 'there is no machine');
    return pid;
  };

  const running = (name: string) => new PodLife(faulty, name).running();

  const containerOf = async (pod: PodLife) =>
    (await faulty.client.containerStatus({ containerId: pod.containerId })).status!;
  const sandboxOf = async (pod: PodLife) =>
    (await faulty.client.podSandboxStatus({ podSandboxId: pod.sandboxId })).status!;

  /**
   * A start whose crun got that signal and which has not come through in spite of it; the container is made anew where crun was too quick to be seen. Its
   * outcome is wrapped, since it may never come.
   */
  async function startMet(pod: PodLife, signal: NodeJS.Signals): Promise<() => Promise<void>> {
    for (let tries = 0; tries < 20; tries++) {
      await pod.create();
      const watch = crun(faulty.swept.tag, signal);
      const starting = pod.start();
      const through = starting.then(
        () => true,
        () => false,
      );
      await Promise.race([through, watch.seen]);
      watch.stop();
      if (!(await Promise.race([through, delay(300).then(() => false)]))) return () => starting;
      await pod.remove();
    }
    throw new Error('crun was never seen in time');
  }

  async function removed(pod: PodLife): Promise<void> {
    await within(45, pod.removeSandbox());
    await faulty.sweep();
  }

  it('an agent that is killed at rest has ended its container with 137, is told as an event, and every call says so at once', async () => {
    const pod = await running('rest');
    const events: string[] = [];
    const stream = faulty.client.getContainerEvents({}) as unknown as NodeJS.EventEmitter & { cancel(): void };
    stream.on('error', () => {});
    stream.on('data', ({ containerId, containerEventType }: cri.ContainerEventResponse) =>
      events.push(`${containerId} ${containerEventType}`),
    );
    // Asked later over the same connection: when it is answered, the subscription stands.
    await faulty.client.version({});
    process.kill(agentPid(), 'SIGKILL');
    await until('both ends are told', async () => events.length >= 2);
    stream.cancel();
    const { CONTAINER_STOPPED_EVENT } = cri.ContainerEventType;
    const ends = [pod.containerId, pod.sandboxId].map((id) => `${id} ${CONTAINER_STOPPED_EVENT}`);
    assert.deepEqual(events.sort(), ends.sort());
    const ended = await containerOf(pod);
    assert.deepEqual([ended.state, ended.exitCode, ended.reason], [CONTAINER_EXITED, 137, 'Error']);
    assert.match(
      ended.message ?? '',
      /^the Pod's machine on the host ended: its process died: its agent ended without a word$/,
    );
    assert.equal((await sandboxOf(pod)).state, SANDBOX_NOTREADY);
    await fails(18, pod.exec(), status.FAILED_PRECONDITION);
    await fails(18, pod.create(), status.FAILED_PRECONDITION);
    await within(18, faulty.client.stopContainer({ containerId: pod.containerId, timeout: 10n }));
    await within(18, pod.stopSandbox());
    await removed(pod);
  });

  it('an agent that is killed while nobody is there is found dead by the next process', async () => {
    const pod = await running('away');
    await faulty.lab.end('SIGKILL');
    process.kill(agentPid(), 'SIGKILL');
    await faulty.lab.start();
    assert.equal((await sandboxOf(pod)).state, SANDBOX_NOTREADY);
    const ended = await containerOf(pod);
    assert.deepEqual([ended.state, ended.exitCode], [CONTAINER_EXITED, 137]);
    await removed(pod);
  });

  const killedAt: [step: string, call: 'run' | 'create' | 'start' | 'exec' | 'stop' | 'remove'][] = [
    ['sandbox-network', 'run'],
    ['sandbox-ready', 'run'],
    ['container-attach', 'create'],
    ['container-guest', 'create'],
    ['container-start', 'start'],
    ['exec', 'exec'],
    ['exec-started', 'exec'],
    ['stop-signal', 'stop'],
    ['container-remove', 'remove'],
  ];
  for (const [step, call] of killedAt)
    it(`an agent that is killed at ${step} ends the call that waits for it`, async () => {
      const pod = new PodLife(faulty, `at-${step}`);
      const order = ['run', 'create', 'start', 'exec', 'stop', 'remove'] as const;
      for (const one of order.slice(0, order.indexOf(call))) await pod[one]();
      await faulty.at(`${step} hold`);
      const waiting = pod[call]();
      waiting.catch(() => {});
      await faulty.held(step);
      process.kill(agentPid(), 'SIGKILL');
      await faulty.at('');
      await within(
        60,
        waiting.catch(() => {}),
      );
      const { items: sandboxes = [] } = await faulty.client.listPodSandbox({});
      await until('the death is known', async () => {
        const { items = [] } = await faulty.client.listPodSandbox({});
        return items.every(({ state }) => state === SANDBOX_NOTREADY);
      });
      // A container has ended when its last output is in its log.
      await until('its containers have ended', async () => {
        const { containers = [] } = await faulty.client.listContainers({});
        return containers.every(({ state }) => state === CONTAINER_EXITED);
      });
      for (const { id } of sandboxes) await within(45, faulty.client.removePodSandbox({ podSandboxId: id }));
      await faulty.sweep();
    });

  it('an agent that hangs holds up its own calls alone, and its sandbox can be stopped', async () => {
    const pod = await running('hangs');
    process.kill(agentPid(), 'SIGSTOP');
    const { containerId } = pod;
    const began = performance.now();
    await fails(18, faulty.client.execSync({ containerId, cmd: ['true'], timeout: 2n }), status.DEADLINE_EXCEEDED);
    assert.ok(performance.now() - began > 1_900);
    const other = new PodLife(faulty, 'other');
    await other.toTheEnd();
    assert.equal((await containerOf(pod)).state, CONTAINER_RUNNING);
    await removed(pod);
  });

  it('containers of an agent that hangs are stopped and removed all the same', () =>
    endsTheSilent(faulty, () => vmmPids(faulty.swept)));

  it('crun that is killed in the middle of a start fails it with words; the container has ended with 128', async () => {
    const pod = new PodLife(faulty, 'crun-killed');
    await pod.run();
    const start = await startMet(pod, 'SIGKILL');
    await fails(60, start(), status.INTERNAL);
    const ended = await containerOf(pod);
    assert.deepEqual([ended.state, ended.exitCode, ended.reason], [CONTAINER_EXITED, 128, 'StartError']);
    assert.equal((await sandboxOf(pod)).state, SANDBOX_READY);
    await within(45, pod.remove());
    await removed(pod);
  });

  it('crun that hangs leaves its container created, and its sandbox can be stopped', async () => {
    const pod = new PodLife(faulty, 'crun-hangs');
    await pod.run();
    const start = await startMet(pod, 'SIGSTOP');
    assert.equal((await containerOf(pod)).state, CONTAINER_CREATED);
    await within(45, pod.stopSandbox());
    await assert.rejects(within(18, start()));
    assert.equal((await containerOf(pod)).state, CONTAINER_EXITED);
    await removed(pod);
  });

  it('of two calls that make the same, one makes it and the other says that it is there', async () => {
    const pod = new PodLife(faulty, 'twice');
    const runs = await Promise.allSettled([pod.run(), pod.run()]);
    assert.deepEqual(codesOf(runs), ['done', status.ALREADY_EXISTS]);
    const creates = await Promise.allSettled([pod.create(), pod.create()]);
    assert.deepEqual(codesOf(creates), ['done', status.ALREADY_EXISTS]);
    await pod.toTheEnd('start');
    await faulty.sweep();
  });

  it('a stop during the start, and a removal during an exec, come through', async () => {
    const pod = new PodLife(faulty, 'crossed');
    await pod.run();
    await pod.create();
    await faulty.at('container-start hold');
    const starting = pod.start();
    starting.catch(() => {});
    await faulty.held('container-start');
    const stopping = pod.stopSandbox();
    await faulty.at('');
    await within(60, stopping);
    await within(
      18,
      starting.catch(() => {}),
    );
    assert.equal((await containerOf(pod)).state, CONTAINER_EXITED);
    await removed(pod);

    const second = await running('crossed-exec');
    const { containerId } = second;
    const exec = faulty.client.execSync({ containerId, cmd: ['sleep', '1000'], timeout: 0n });
    exec.catch(() => {});
    await delay(300);
    await within(45, second.remove());
    const outcome = await within(
      18,
      exec.then(
        ({ exitCode }) => exitCode,
        ({ code }) => code,
      ),
    );
    assert.ok([137, status.UNAVAILABLE, status.FAILED_PRECONDITION, status.NOT_FOUND].includes(outcome), `${outcome}`);
    await removed(second);
  });
});

/** Looks for crun at work in this instance, as closely as a process can, and sends the signal once. */
function crun(tag: string, signal: NodeJS.Signals): { seen: Promise<void>; stop(): void } {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  let isOver = false;
  const look = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      try {
        if (readFileSync(`/proc/${pid}/comm`, 'utf8') !== 'crun\n') continue;
        if (!readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`sampan-${tag}`)) continue;
        process.kill(Number(pid), signal);
        return resolve();
      } catch {
        // Gone meanwhile.
      }
    if (!isOver) setImmediate(look);
  };
  look();
  return {
    seen,
    stop: () => {
      isOver = true;
    },
  };
}

async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  const enough = new AbortController();
  const late = delay(seconds * 1000, undefined, { signal: enough.signal }).then(() => {
    throw new Error(`no answer within ${seconds} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    enough.abort();
  }
}

async function fails(seconds: number, work: Promise<unknown>, code: status): Promise<void> {
  await assert.rejects(within(seconds, work), (error: { code?: number; message: string }) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}

const codesOf = (outcomes: PromiseSettledResult<unknown>[]) =>
  outcomes
    .map((one) => (one.status === 'fulfilled' ? 'done' : one.reason.code))
    .sort()
    .reverse();
