import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import type { DiskAttachment } from '../vmm.ts';
import { suiteShape, type VmmUnderTest, vmmSuite } from '../vmm-suite.ts';
import { FakeHost } from './fake-host.ts';
import { FakeVmm } from './fake-vmm.ts';

async function make(): Promise<VmmUnderTest & { vmm: FakeVmm }> {
  const root = await mkdtemp(join(tmpdir(), 'sampan-fake-vmm-'));
  const host = new FakeHost();
  return {
    vmm: new FakeVmm(host),
    restarted: async () => new FakeVmm(host),
    directory: (name) => join(root, 'machines', name),
    disk: async (slot, mib): Promise<DiskAttachment> => {
      const path = join(root, `${slot}.img`);
      await writeFile(path, '');
      await truncate(path, mib << 20);
      return { slot, path, readOnly: slot.startsWith('image') };
    },
    halt: async ({ directory }) => host.halt(directory),
    panic: async ({ directory }) => host.panic(directory),
    kill: async ({ directory }) => host.die(directory),
    dispose: async () => {
      for (const directory of [...host.machines.keys()]) host.remove(directory, 'the test is over');
      await rm(root, { recursive: true, force: true });
    },
  };
}

vmmSuite('fake', { make });

test('the fake fails when it is told to, once, and leaves nothing behind', async () => {
  const under = await make();
  try {
    const spec = { id: 'one', directory: under.directory('one'), shape: suiteShape, disks: [] };
    under.vmm.host.failNext('create', new SampanError('ResourceExhausted', 'no memory'));
    await assert.rejects(under.vmm.create(spec), /no memory/);
    assert.equal(await under.vmm.find(spec.directory), undefined);
    await under.vmm.create(spec);
  } finally {
    await under.dispose();
  }
});

test('the newest connection to a channel wins', async () => {
  const under = await make();
  try {
    const greeted: number[] = [];
    under.vmm.host.onChannel = (socket) => socket.write(String(greeted.push(1)));
    const spec = { id: 'one', directory: under.directory('one'), shape: suiteShape, disks: [] };
    const { channelPath } = await under.vmm.create(spec);
    const { connect } = await import('node:net');
    const first = connect(channelPath);
    await new Promise((resolve) => first.once('data', resolve));
    const closed = new Promise((resolve) => first.once('close', resolve));
    const second = connect(channelPath);
    await Promise.all([closed, new Promise((resolve) => second.once('data', resolve))]);
    second.destroy();
    assert.equal(greeted.length, 2);
  } finally {
    await under.dispose();
  }
});
