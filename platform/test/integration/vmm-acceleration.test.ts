/**
 * What decides over KVM, with real machines. The trial is run under emulation, where it has to pass. Under KVM it goes as far as any /dev/kvm goes that
 * makes machines, on hosts too where no stock kernel comes up: QEMU in its jail, firmware and a kernel's first steps, the state of one machine taken up
 * by another, a share plugged in behind it. Skipped, with QEMU's words, where that cannot be had.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { messageOf } from '@sampan/api/errors.ts';
import { run } from '../../src/base/child.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { type AccelerationProfile, accelerationProfiles } from '../../src/vmm/qemu/acceleration.ts';
import { agentAnswers } from '../../src/vmm/qemu/agent-answers.ts';
import { keepFrozen, statePathOf } from '../../src/vmm/qemu/freeze-template.ts';
import { HostCgroups } from '../../src/vmm/qemu/host-cgroups.ts';
import { bootsAlone, clonesLive, type Verdict } from '../../src/vmm/qemu/kvm-probe.ts';
import { plugShare } from '../../src/vmm/qemu/late-share.ts';
import { placeholderMac } from '../../src/vmm/qemu/qemu-arguments.ts';
import type { QemuContext } from '../../src/vmm/qemu/qemu-context.ts';
import { createQemuVmm } from '../../src/vmm/qemu/qemu-vmm.ts';
import { type QmpClient, statusOf } from '../../src/vmm/qemu/qmp.ts';
import {
  readTemplateState,
  type StartedVmm,
  type StartOptions,
  scrap,
  startVmm,
} from '../../src/vmm/qemu/start-vmm.ts';
import { guestDirectory, launcherPath, missingForMachines } from './support/built-parts.ts';
import { until } from './support/wait.ts';

const virtiofsd = '/usr/lib/qemu/virtiofsd';
const { kvm, tcg } = accelerationProfiles;
const shape = { vcpus: 2, memoryMib: 256 };
/** Emulation on a busy host. */
const patienceMs = 90_000;

describe('the acceleration of machines', { skip: missingForMachines() ?? false }, () => {
  let home: string;
  let cgroups: HostCgroups;
  let tscKhz: number;

  before(async () => {
    home = await mkdtemp('/dev/shm/sampan-accel-');
    cgroups = await HostCgroups.open('acceltst');
    tscKhz = Number((await run(launcherPath, ['tsc'])).stdout);
  });

  after(async () => {
    await cgroups.removeParents();
    await rm(home, { recursive: true, force: true });
  });

  async function contextOf(profile: AccelerationProfile): Promise<QemuContext> {
    return {
      ...{ run: home, guest: await findGuestArtifacts(guestDirectory), launcherPath },
      ...{ qemuPath: '/usr/bin/qemu-system-x86_64', qemuVersion: 'any', profile, tscKhz: async () => tscKhz },
      ...{ shareServerPath: virtiofsd, cgroups, clock: systemClock, log: silentLogger },
    };
  }

  test('the trial passes where machines boot and their clones live, and leaves nothing', async () => {
    const context = await contextOf(tcg);
    await bootsAlone(context, patienceMs);
    await clonesLive(context, patienceMs);
    assert.deepEqual(await readdir(home), []);
  });

  test('it fails at once with the guest’s words where the guest dies, and leaves nothing', async () => {
    const context = await contextOf({ ...tcg, kernelParameters: (host) => [...tcg.kernelParameters(host), 'mem=24M'] });
    await assert.rejects(bootsAlone(context, patienceMs), (error) =>
      /^the guest did not boot: /.test(messageOf(error)),
    );
    assert.deepEqual(await readdir(home), []);
  });

  test('a machine that KVM gives no more is started under emulation, and the driver says so', async () => {
    const nodes = kvm.deviceNodes;
    kvm.deviceNodes = ['/dev/kvm-that-went'];
    const went = { accelerator: 'tcg', reason: 'there is no /dev/kvm: emulating' } as const;
    const verdicts: Verdict[] = [{ accelerator: 'kvm', reason: 'it was there' }, went];
    const { run, guest } = await contextOf(kvm);
    const vmm = await createQemuVmm({
      ...{ run: join(run, 'vmm'), guest, launcherPath, tag: 'acceltst', log: silentLogger },
      choose: async () => verdicts.shift() ?? went,
      templateBytes: 0,
    });
    const directory = join(run, 'vmm', 'm');
    try {
      assert.equal((await vmm.capabilities()).acceleration, 'kvm');
      const machine = await vmm.create({ id: 'm', directory, shape, disks: [] });
      await until('its agent answers', () => agentAnswers(machine.channelPath, systemClock, 10_000).then(() => true));
      const { acceleration, accelerationReason } = await vmm.capabilities();
      assert.deepEqual([acceleration, accelerationReason], ['tcg', went.reason]);
      assert.deepEqual(verdicts, [], 'it was looked at anew');
    } finally {
      kvm.deviceNodes = nodes;
      await vmm.destroy(directory);
      await vmm.teardown();
      await rm(join(run, 'vmm'), { recursive: true });
    }
  });

  test('under KVM a machine starts in its jail, its state is saved, and a clone takes it up and goes on, with a share too', async (t) => {
    // What a paravirtual KVM offers of these it does not take; one of hardware does without.
    const context = await contextOf({ ...kvm, cpu: `${kvm.cpu},arch-capabilities=off` });
    const directory = join(home, 'template');
    const started = await startIn(context, directory, { start: 'template' }).catch(messageOf);
    try {
      if (typeof started === 'string') return t.skip(started.slice(0, 300));
      assert.deepEqual(await started.qmp.call('query-kvm'), { enabled: true, present: true });
      const status = await statusOf(started.qmp);
      if (status !== 'running') return t.skip(`this KVM runs no kernel: ${status}`);
      const template = { memoryPath: await keepFrozen(started, directory), statePath: statePathOf(directory) };
      await goesOn(context, { start: 'clone', template });
      if (!existsSync(virtiofsd)) return t.diagnostic('no virtiofsd: no share was tried');
      await goesOn(context, { start: 'clone', template, shares: [{ tag: 'host', directory: home, readOnly: true }] });
    } finally {
      await scrap(context, directory);
    }
  });

  async function goesOn(context: QemuContext, options: Partial<StartOptions> & Pick<StartOptions, 'start'>) {
    const directory = join(home, 'clone');
    const { qmp, launcher } = await startIn(context, directory, options);
    try {
      await readTemplateState(qmp);
      assert.equal(await statusOf(qmp), 'paused');
      const before = await registersOf(qmp);
      for (const { tag } of options.shares ?? []) await plugShare(qmp, tag);
      await qmp.call('cont');
      await until('its processor has gone on', async () => (await registersOf(qmp)) !== before);
      assert.equal(await statusOf(qmp), 'running');
    } finally {
      qmp.close();
      await launcher.kill();
      await scrap(context, directory);
    }
  }

  async function startIn(
    context: QemuContext,
    directory: string,
    options: Partial<StartOptions> & Pick<StartOptions, 'start'>,
  ): Promise<StartedVmm> {
    await mkdir(directory, { mode: 0o700 });
    const nic = { tap: 'spare', mac: placeholderMac } as const;
    return startVmm(context, { mode: 'hold', directory, uid: 200_005, cgroups: [], shape, disks: [], nic, ...options });
  }
});

async function registersOf(qmp: QmpClient): Promise<string> {
  const text = await qmp.call('human-monitor-command', { 'command-line': 'info registers' });
  return String(text).split('\n').slice(0, 8).join('\n');
}
