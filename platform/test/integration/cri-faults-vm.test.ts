/** What cri-faults.test.ts and cri-casualties.test.ts do to sandboxes on the host, in a selection, on VMs; and what only a VM has: a VMM, a file server. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import * as cri from '../../src/runtime/generated/cri.ts';
import { missingForCri } from './support/cri-lab.ts';
import { endsTheSilent, FaultyCri, PodLife } from './support/faulty-cri.ts';
import { vmmPids } from './support/instance.ts';
import { until } from './support/wait.ts';

describe('CRI over a process and machines that are killed', { skip: missingForCri() }, () => {
  let faulty: FaultyCri;
  before(async () => {
    faulty = await FaultyCri.open('cri-faults-vm', 'vm');
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());

  for (const step of ['sandbox-ready', 'image-attach', 'container-guest', 'container-started', 'release-machine'])
    it(`the process is killed at ${step}`, async () => {
      const pod = new PodLife(faulty, `at-${step}`);
      await faulty.at(`${step} kill`);
      const broken = await pod.untilItBreaks();
      await faulty.comeBack();
      await pod.toTheEnd(await pod.takeUp(broken!));
      await faulty.sweep();
    });

  async function endedWith(pod: PodLife, words: RegExp): Promise<void> {
    const { client } = faulty;
    const ended = async () => {
      const { status } = await client.containerStatus({ containerId: pod.containerId });
      return status?.state === cri.ContainerState.CONTAINER_EXITED && status;
    };
    // Its last output is waited for a little.
    const status = await until('the container has ended', ended);
    const sandbox = await client.podSandboxStatus({ podSandboxId: pod.sandboxId });
    assert.equal(sandbox.status?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
    assert.equal(status.exitCode, 137);
    assert.match(status.message!, words);
    await pod.stopSandbox();
    await pod.removeSandbox();
    await faulty.sweep();
  }

  it('a VMM that is killed has ended its container with 137, and says so', async () => {
    const pod = await new PodLife(faulty, 'vmm').running();
    process.kill(vmmPids(faulty.swept)[0]!, 'SIGKILL');
    await endedWith(pod, /the VM ended: its process died/);
  });

  it('a VMM that is killed in the middle of CreateContainer fails it', async () => {
    const pod = new PodLife(faulty, 'vmm-create');
    await pod.run();
    await faulty.at('container-guest hold');
    const creating = pod.create();
    creating.catch(() => {});
    await faulty.held('container-guest');
    process.kill(vmmPids(faulty.swept)[0]!, 'SIGKILL');
    await faulty.at('');
    await assert.rejects(creating);
    assert.equal((await faulty.client.listContainers({})).containers, undefined);
    await pod.removeSandbox();
    await faulty.sweep();
  });

  it('containers of a guest that hangs are stopped and removed all the same', () =>
    endsTheSilent(faulty, () => vmmPids(faulty.swept)));

  it('a file server that is killed ends its machine, which says why', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sampan-shared-'));
    try {
      const pod = new PodLife(faulty, 'virtiofs');
      pod.mounts = [{ containerPath: '/data', hostPath: directory, readonly: false }];
      await pod.running();
      const machines = join(faulty.swept.run, 'vm');
      const servers = readdirSync(machines).map((name) => join(machines, name, 'share0'));
      const pid = Number(readFileSync(servers[0]!, 'utf8').split(' ')[0]);
      process.kill(pid, 'SIGKILL');
      await endedWith(pod, /file server of share/);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
