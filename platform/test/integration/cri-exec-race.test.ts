/** Commands that race the end of what they run in: every answer is one that kubelet and crictl make sense of, whichever came first. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';
import { until } from './support/wait.ts';

/** What a command may come to whose container ends: it ran, it was killed along, or there is nothing to run in. */
const truthful = new Set(['exit 0', 'exit 137', 'FAILED_PRECONDITION', 'NOT_FOUND']);
const rounds = 6;
const atOnce = 6;

describe('commands while their container ends', { skip: missingForCri() }, () => {
  let lab: CriLab;
  let registry: Registry;
  let image: string;
  before(async () => {
    registry = await startRegistry({});
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('exec-race');
    await lab.client.pullImage({ image: { image } });
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
    await registry?.stop();
  });

  /** Commands one after another, until one cannot be run any more; counts how they came out. */
  async function hammer(containerId: string, outcomes: Map<string, string>): Promise<void> {
    for (let over = false; !over; ) {
      const outcome = await lab.client.execSync({ containerId, cmd: ['true'], timeout: 30n }).then(
        ({ exitCode }) => ({ name: `exit ${exitCode ?? 0}`, words: '', over: (exitCode ?? 0) !== 0 }),
        (error: { code: number; message: string }) => ({ name: status[error.code]!, words: error.message, over: true }),
      );
      over = outcome.over;
      outcomes.set(outcome.name, outcome.words);
    }
  }

  const endings: Record<string, (containerId: string, podSandboxId: string) => Promise<unknown>> = {
    'is stopped': (containerId) => lab.client.stopContainer({ containerId, timeout: 0n }),
    'is removed': (containerId) => lab.client.removeContainer({ containerId }),
    'goes with its Pod': (_, podSandboxId) => lab.client.stopPodSandbox({ podSandboxId }),
  };
  for (const handler of ['namespace', 'vm'])
    for (const [ending, end] of Object.entries(endings))
      it(`${handler}: a container that ${ending}`, async () => {
        const outcomes = new Map<string, string>();
        for (let round = 0; round < (handler === 'vm' ? 2 : rounds); round += 1) {
          const name = `${handler}-${ending.replaceAll(' ', '-').toLowerCase()}-${round}`;
          const config = lab.sandboxConfig(name);
          const { podSandboxId } = await lab.client.runPodSandbox({ config, runtimeHandler: handler });
          const container = await lab.container(podSandboxId!, 'main', { image, script: 'sleep 1000' });
          const before = outcomes.size;
          const hammers = Array.from({ length: atOnce }, () => hammer(container, outcomes));
          await until('commands run', async () => outcomes.size > before || outcomes.has('exit 0') || undefined);
          await end(container, podSandboxId!);
          await Promise.all(hammers);
          await lab.client.removePodSandbox({ podSandboxId });
        }
        const untrue = [...outcomes].filter(([outcome]) => !truthful.has(outcome));
        assert.deepEqual(untrue, []);
        assert.ok(outcomes.has('exit 0'));
      });
});
