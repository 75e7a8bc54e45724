/**
 * kill -9 of the process behind CRI at each step of each call, with sandboxes on the host (they are fast; cri-faults-vm.test.ts does a selection with VMs): what
 * the next one tells is true, the same call again leads on, and nothing is left in the end.
 */
import { after, afterEach, before, describe, it } from 'node:test';
import { missingForCri } from './support/cri-lab.ts';
import { FaultyCri, PodLife } from './support/faulty-cri.ts';

const steps = [
  ...['sandbox-record', 'sandbox-resources', 'sandbox-machine', 'sandbox-network', 'sandbox-ready', 'sandbox-answer'],
  ...['container-record', 'container-attach', 'image-record', 'image-attach', 'container-guest', 'container-created'],
  ...['container-answer', 'container-start', 'container-started', 'exec', 'exec-started'],
  ...['stop-signal', 'stop-kill', 'container-exit', 'container-remove', 'container-forget'],
  ...['stop-record', 'stop-containers', 'release-machine', 'release-network', 'release-scratch', 'remove-record'],
];

describe('CRI over a process that is killed, sandboxes on the host', { skip: missingForCri() }, () => {
  let faulty: FaultyCri;
  before(async () => {
    faulty = await FaultyCri.open('cri-faults', 'namespace');
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());

  for (const step of steps)
    it(`killed at ${step}`, async () => {
      const pod = new PodLife(faulty, `at-${step}`, step === 'stop-kill' ? 0n : 20n);
      await faulty.at(`${step} kill`);
      const broken = await pod.untilItBreaks();
      await faulty.comeBack();
      await pod.toTheEnd(await pod.takeUp(broken!));
      await faulty.sweep();
    });
});
