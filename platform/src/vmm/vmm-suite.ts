/** What every VMM driver must do. A driver's test calls this with a way to make one; `restarted` stands for the server's restart. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import type { DiskAttachment, Machine, MachineSpec, Vmm } from './vmm.ts';

export interface VmmUnderTest {
  vmm: Vmm;
  /** A second object over the same host, after the first was closed. */
  restarted(): Promise<Vmm>;
  /** A directory for a machine, not there yet. */
  directory(name: string): string;
  /** A file to attach, `mib` big. */
  disk(slot: string, mib: number): Promise<DiskAttachment>;
  /** Make the guest power off, make it panic, kill its VMM. */
  halt(machine: Machine): Promise<void>;
  panic(machine: Machine): Promise<void>;
  kill(machine: Machine): Promise<void>;
  /** Destroys every machine left, closes every object. */
  dispose(): Promise<void>;
}

export interface VmmSuiteOptions {
  make(): Promise<VmmUnderTest>;
  /** False where machines have no kernel of their own: nothing can power it off or make it panic, and there is nothing to clone. Default true. */
  hasKernel?: boolean;
  /** A test's bound, ms. */
  timeoutMs?: number;
}

export const suiteShape = { vcpus: 1, memoryMib: 256 };

export function vmmSuite(driver: string, { make, hasKernel = true, timeoutMs = 60_000 }: VmmSuiteOptions): void {
  const it = (name: string, body: (under: VmmUnderTest) => Promise<void>) =>
    test(name, { timeout: timeoutMs }, async () => {
      const under = await make();
      try {
        await body(under);
      } finally {
        await under.dispose();
      }
    });
  const specOf = (under: VmmUnderTest, id: string, disks: DiskAttachment[] = []): MachineSpec => ({
    id,
    directory: under.directory(id),
    shape: suiteShape,
    disks,
  });

  describe(`VMM driver ${driver}`, () => {
    it('a machine that was created has a directory and a channel that can be connected to', async (under) => {
      const spec = specOf(under, 'one');
      const machine = await under.vmm.create(spec);
      assert.equal(machine.id, 'one');
      assert.equal(machine.directory, spec.directory);
      assert.deepEqual(machine.shape, suiteShape);
      assert.ok(existsSync(spec.directory));
      await connects(machine.channelPath);
    });

    it('creating in the same directory again returns the machine that runs there', async (under) => {
      const spec = specOf(under, 'one');
      const [first, second] = await Promise.all([under.vmm.create(spec), under.vmm.create(spec)]);
      assert.equal(first, second);
      assert.equal(await under.vmm.find(spec.directory), first);
    });

    it('after prepareTemplate machines are clones, and there can be several at once', async (under) => {
      await under.vmm.prepareTemplate(suiteShape);
      await under.vmm.prepareTemplate(suiteShape);
      const machines = await Promise.all(['a', 'b', 'c'].map((id) => under.vmm.create(specOf(under, id))));
      assert.deepEqual(
        machines.map((machine) => machine.origin),
        machines.map(() => (hasKernel ? 'template' : 'cold')),
      );
      assert.equal(new Set(machines.map((machine) => machine.channelPath)).size, 3);
    });

    it('what cannot be is refused by name and leaves nothing behind', async (under) => {
      const spec = specOf(under, 'odd');
      const disk = await under.disk('scratch', 4);
      const refused = async (change: Partial<MachineSpec>, reason: Parameters<typeof isReason>[1], words: RegExp) => {
        await assert.rejects(under.vmm.create({ ...spec, ...change }), (error: Error) => {
          assert.ok(isReason(error, reason), `${error}`);
          assert.match(error.message, words);
          return true;
        });
        assert.equal(existsSync(spec.directory), false);
        assert.equal(await under.vmm.find(spec.directory), undefined);
      };
      await refused({ disks: [{ ...disk, slot: 'floppy' }] }, 'Invalid', /floppy/);
      await refused({ disks: [{ ...disk, slot: 'root' }] }, 'Invalid', /root/);
      await refused({ disks: [disk, disk] }, 'Invalid', /scratch.*twice/);
      await refused({ disks: [{ ...disk, readOnly: true }] }, 'Unsupported', /scratch.*writable/);
      await refused({ disks: [{ ...disk, path: '/nowhere/at-all' }] }, 'FailedPrecondition', /nowhere/);
      await refused({ shape: { vcpus: 0, memoryMib: 256 } }, 'Invalid', /vCPU/);
      await refused({ id: 'Not A Label' }, 'Invalid', /id/);
    });

    it('destroying is idempotent, resolves exited, and leaves no directory', async (under) => {
      const spec = specOf(under, 'one');
      const machine = await under.vmm.create(spec);
      await Promise.all([under.vmm.destroy(spec.directory), under.vmm.destroy(spec.directory)]);
      await under.vmm.destroy(spec.directory);
      assert.equal((await machine.exited).kind, 'killed');
      assert.equal(existsSync(spec.directory), false);
      assert.equal(await under.vmm.find(spec.directory), undefined);
      await under.vmm.destroy(under.directory('never-there'));
    });

    for (const [how, kind] of [
      ['halt', 'halted'],
      ['panic', 'panicked'],
      ['kill', 'killed'],
    ] as const) {
      if (!hasKernel && how !== 'kill') continue;
      it(`a machine that one made ${how} is ${kind}, is not found any more, and can be made again`, async (under) => {
        const spec = specOf(under, 'one');
        const machine = await under.vmm.create(spec);
        await under[how](machine);
        const exit = await machine.exited;
        assert.equal(exit.kind, kind, exit.message);
        assert.ok(exit.message.length > 0 && exit.message.length <= 1024);
        assert.equal(await under.vmm.find(spec.directory), undefined);
        await assert.rejects(machine.pause(), (error) => isReason(error, 'FailedPrecondition'));
        const again = await under.vmm.create(spec);
        assert.notEqual(again, machine);
        await connects(again.channelPath);
      });
    }

    it('a machine outlives the server: it is found again by its directory, and its end is told', async (under) => {
      const spec = specOf(under, 'one');
      await under.vmm.create(spec);
      const next = await under.restarted();
      assert.equal(await next.find(under.directory('other')), undefined);
      const found = await next.find(spec.directory);
      assert.ok(found);
      assert.equal(found.id, 'one');
      assert.deepEqual(found.shape, suiteShape);
      assert.equal(await next.create(spec), found);
      await connects(found.channelPath);
      await under[hasKernel ? 'panic' : 'kill'](found);
      assert.equal((await found.exited).kind, hasKernel ? 'panicked' : 'killed');
    });

    it('a machine that died while no server was there is not found, and destroy clears it away', async (under) => {
      const spec = specOf(under, 'one');
      const machine = await under.vmm.create(spec);
      const next = await under.restarted();
      await under.kill(machine);
      await until(async () => (await next.find(spec.directory)) === undefined);
      await next.destroy(spec.directory);
      assert.equal(existsSync(spec.directory), false);
    });

    it('a disk goes into an empty slot of a running machine, once', async (under) => {
      const machine = await under.vmm.create(specOf(under, 'one', [await under.disk('scratch', 4)]));
      const image = await under.disk('image3', 1);
      await machine.attachDisk(image);
      const taken = (error: unknown) => isReason(error, 'FailedPrecondition') && /has a disk/.test(error.message);
      await assert.rejects(machine.attachDisk(image), taken);
      await assert.rejects(machine.attachDisk(await under.disk('scratch', 4)), taken);
      await assert.rejects(machine.attachDisk({ ...image, slot: 'image9' }), (error) => isReason(error, 'Invalid'));
      const next = await under.restarted();
      const found = await next.find(machine.directory);
      await assert.rejects(found!.attachDisk(image), taken);
    });

    it('a share is of the machine from its start, and the host’s tree can be put into it', async (under) => {
      const { shares } = await under.vmm.capabilities();
      const directory = mkdtempSync(join(tmpdir(), 'sampan-share-'));
      const share = { tag: 'host', directory: join(directory, 'share'), readOnly: true };
      const spec = { ...specOf(under, 'one'), shares: [share] };
      const mount = { tag: 'host', name: 'm0', hostPath: directory, readOnly: false, propagation: 'private' } as const;
      try {
        if (!shares) {
          await assert.rejects(under.vmm.create(spec), (error) => isReason(error, 'Unsupported'));
          return;
        }
        await assert.rejects(under.vmm.create(spec), (error) => isReason(error, 'FailedPrecondition'));
        mkdirSync(share.directory);
        await under.vmm.prepareTemplate(suiteShape);
        const machine = await under.vmm.create(spec);
        assert.equal(machine.origin, hasKernel ? 'template' : 'cold');
        await machine.mountInShare!(mount);
        await machine.mountInShare!(mount);
        for (const [change, reason] of [
          [{ tag: 'other' }, 'NotFound'],
          [{ name: '../m1' }, 'Invalid'],
          [{ name: 'm1', hostPath: 'relative' }, 'Invalid'],
        ] as const)
          await assert.rejects(machine.mountInShare!({ ...mount, ...change }), (error) => isReason(error, reason));
        const found = await (await under.restarted()).find(spec.directory);
        await found!.mountInShare!({ ...mount, name: 'm2' });
        await under.kill(found!);
        assert.equal((await found!.exited).kind, 'killed');
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });

    it('a machine pauses and resumes, and tells what it uses', async (under) => {
      const machine = await under.vmm.create(specOf(under, 'one'));
      await machine.pause();
      await machine.pause();
      await machine.resume();
      await machine.resume();
      const stats = await machine.stats();
      assert.ok(stats.cpuNanos > 0n);
      assert.ok(stats.pssBytes > 0);
      await machine.settle?.();
      assert.equal(typeof (await machine.consoleTail()), 'string');
    });

    it('it says what it is', async ({ vmm }) => {
      const capabilities = await vmm.capabilities();
      assert.ok(capabilities.driver);
      assert.ok(capabilities.accelerationReason);
    });
  });
}

async function connects(path: string): Promise<void> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  } finally {
    socket.destroy();
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 60_000; performance.now() < endMs; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail('it did not come to that');
}
