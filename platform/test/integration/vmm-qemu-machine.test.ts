/** What is the QEMU driver's own: the jail, the network and disks of clones, templates and parked clones across restarts, host cgroups. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readMachineRecord } from '../../src/vmm/qemu/machine-record.ts';
import type { Machine, MachineSpec, Vmm } from '../../src/vmm/vmm.ts';
import { launcherPath } from './support/built-parts.ts';
import { missingVmmParts, shell, shellNoAnswer, VmmLab } from './support/vmm-lab.ts';
import { until } from './support/wait.ts';

const missing = missingVmmParts();
const shape = { vcpus: 1, memoryMib: 256 };

describe('a QEMU machine', { skip: missing ?? false }, () => {
  let lab: VmmLab;
  const tap = `sv${process.pid % 100_000}`;
  const addresses = { host: '10.213.77.1', guest: '10.213.77.2/24' };
  before(async () => {
    lab = await VmmLab.make();
    await VmmLab.tap(tap, `${addresses.host}/24`);
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
    await VmmLab.untap(tap);
  });

  const it = (name: string, body: () => Promise<void>) =>
    test(name, { timeout: 120_000 }, async () => {
      try {
        await body();
      } finally {
        await lab.reset();
      }
    });
  const specOf = (id: string, more: Partial<MachineSpec> = {}): MachineSpec => ({
    id,
    directory: lab.directory(id),
    shape,
    disks: [],
    ...more,
  });
  const pidOf = async (machine: Machine) =>
    Number((await readFile(join(machine.directory, 'pid'), 'utf8')).split(' ')[0]);
  const ping = (machine: Machine) => shell(machine, `ping -c 1 -W 10 ${addresses.host}`);

  it('runs without powers: its own uid, network, processes and root, no capabilities, seccomp, and only its descriptors', async () => {
    const vmm = await lab.vmm();
    const machine = await vmm.create(specOf('jailed', { disks: [await lab.disk('scratch', 4)] }));
    const pid = await pidOf(machine);
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:[\\t ]+(.*)$`, 'm').exec(status)?.[1];
    assert.match(field('Uid')!, /^([2-4]\d{5})\t\1\t\1\t\1$/);
    assert.match(field('Gid')!, /^([2-4]\d{5})\t\1\t\1\t\1$/);
    assert.equal(field('Groups')?.trim() ?? '', '');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.equal(field(set), '0'.repeat(16), set);
    assert.equal(field('NoNewPrivs'), '1');
    assert.equal(field('Seccomp'), '2');
    assert.match(field('NSpid')!, /\t1$/);
    for (const kind of ['net', 'ipc', 'uts', 'mnt', 'pid'])
      assert.notEqual(await readlink(`/proc/${pid}/ns/${kind}`), await readlink(`/proc/self/ns/${kind}`), kind);
    const interfaces = (await readFile(`/proc/${pid}/net/dev`, 'utf8')).split('\n').slice(2).filter(Boolean);
    assert.equal(interfaces.length, 1, 'nothing but lo');
    const shown = await readdir(`/proc/${pid}/root`);
    assert.deepEqual(shown.filter((name) => !['usr', 'lib', 'lib32', 'lib64'].includes(name)).sort(), [
      'dev',
      'etc',
      'proc',
    ]);
    await assert.rejects(writeFile(`/proc/${pid}/root/x`, ''), /EROFS/);
    await assert.rejects(writeFile(`/proc/${pid}/root/usr/x`, ''), /EROFS/);
    const descriptors = await Promise.all(
      (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
    );
    const files = descriptors.filter((target) => target.startsWith('/') && !target.startsWith('/dev/'));
    const expected = /^\/memfd:sampan-template|\/(vmm\.log|state|rootfs\.erofs|scratch-4\.img)( \(deleted\))?$/;
    assert.deepEqual(
      files.filter((path) => !expected.test(path)),
      [],
    );
    assert.equal(await readFile(`/proc/${pid}/oom_score_adj`, 'utf8'), '300\n');
  });

  it('a template’s memory cannot be written by anybody, and clones do not see each other’s', async () => {
    const vmm = await lab.vmm();
    await vmm.prepareTemplate(shape);
    const [key] = await readdir(join(lab.run, 'templates'));
    const { memoryPath } = JSON.parse(await readFile(join(lab.run, 'templates', key!, 'template.json'), 'utf8'));
    const memory = await open(memoryPath, 'r+');
    try {
      await assert.rejects(memory.write(Buffer.from('x'), 0, 1, 0), /EPERM/);
      await assert.rejects(memory.truncate(0), /EPERM/);
    } finally {
      await memory.close();
    }
    const [one, two] = await Promise.all(['one', 'two'].map((id) => vmm.create(specOf(id))));
    await shell(one!, 'echo secret > /mine');
    assert.equal(await shell(two!, 'ls / | grep -c mine || true'), '0');
    assert.equal(await shell(one!, 'cat /mine'), 'secret');
  });

  it('a clone has the network and the disks it was given, and those attached later', async () => {
    const vmm = await lab.vmm();
    await vmm.prepareTemplate(shape);
    await checkDevices(vmm, 'cloned');
  });

  it('so has a machine that booted cold', async () => {
    const vmm = await lab.vmm({ templateBytes: 0 });
    const machine = await checkDevices(vmm, 'cold');
    assert.equal(machine.origin, 'cold');
  });

  it('so has a parked clone, and what was parked does not outlive the driver', async () => {
    const vmm = await lab.vmm({ pool: 1 });
    await vmm.prepareTemplate(shape);
    const parked = await until('a clone is parked', parkedClones);
    const machine = await checkDevices(vmm, 'parked');
    assert.ok((await readlink(`/proc/${await pidOf(machine)}/cwd`)) === '/');
    assert.equal(machine.origin, 'template');
    assert.equal(parked.length, 1);
    await until('a clone is parked', parkedClones);
    await lab.close(vmm);
    assert.deepEqual(await parkedClones(), undefined);
    assert.match(await ping(machine), /1 packets received/);
  });

  it('after a crowd as many clones are parked as are allowed of those that it would have taken', async () => {
    const vmm = await lab.vmm({ pool: 1, mostPool: 3 });
    await vmm.prepareTemplate(shape);
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => vmm.create(specOf(id))));
    await until('three clones are parked', async () => (await parkedClones())?.length === 3);
    await vmm.prepareTemplate(shape);
    const machine = await vmm.create(specOf('e', { nic: { tapName: tap, mac: '02:00:00:00:00:43' } }));
    assert.equal(await shell(machine, 'echo from the pool'), 'from the pool');
    await lab.close(vmm);
    assert.equal(await parkedClones(), undefined);
  });

  it('where a reserve is kept, one machine is enough for clones of its shape to stand ready for a crowd; two shapes share them', async () => {
    const vmm = await lab.vmm({ pool: 1, reserve: 4, mostPool: 9 });
    await vmm.prepareTemplate(shape);
    await vmm.create(specOf('only'));
    await until('four clones are parked', async () => (await parkedClones())?.length === 4);
    const other = { ...shape, memoryMib: shape.memoryMib + 32 };
    await vmm.prepareTemplate(other);
    await vmm.create(specOf('another', { shape: other }));
    await until('two of each', async () => {
      const shapes = (await parkedShapes()).sort();
      return shapes.join() === [shape, shape, other, other].map(({ memoryMib }) => memoryMib).join();
    });
    // The template of the other shape is not for the tests to come.
    await vmm.teardown();
    await lab.close(vmm);
    assert.equal(await parkedClones(), undefined);
  });

  /** Creates with two disks and a tap, attaches a third disk, and looks at all of it from inside. */
  async function checkDevices(vmm: Vmm, id: string): Promise<Machine> {
    const disks = [await lab.disk('scratch', 8), await lab.disk('image0', 2)];
    const mac = '02:00:00:00:00:42';
    const machine = await vmm.create(specOf(id, { disks, nic: { tapName: tap, mac } }));
    assert.equal(await shell(machine, 'head -c 14 $(blk image0)'), 'this is image0');
    assert.equal(
      await shell(machine, 'd=$(blk scratch); blockdev --getsize64 $d; echo from the guest > $d; sync'),
      `${8 << 20}`,
    );
    assert.match(await readFile(disks[0]!.path, 'latin1'), /^from the guest\n/);
    await assert.rejects(shell(machine, 'echo x > $(blk image0)'));
    await shell(machine, `net ${addresses.guest} ${mac}`);
    assert.match(await ping(machine), /1 packets received/);
    await machine.attachDisk(await lab.disk('image7', 3));
    assert.equal(
      await shell(machine, 'd=$(blk image7); blockdev --getsize64 $d; head -c 14 $d'),
      `${3 << 20}\nthis is image7`,
    );
    return machine;
  }

  async function parkedClones(): Promise<string[] | undefined> {
    const pool = await readdir(join(lab.run, 'pool')).catch(() => []);
    const stopped = await Promise.all(
      pool.map(async (name) => {
        const [pid] = (await readFile(join(lab.run, 'pool', name, 'pid'), 'utf8').catch(() => '')).split(' ');
        return pid ? /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')) : false;
      }),
    );
    return stopped.some(Boolean) ? pool : undefined;
  }

  const parkedShapes = async (): Promise<number[]> =>
    Promise.all(
      ((await parkedClones()) ?? []).map(
        async (name) => (await readMachineRecord(join(lab.run, 'pool', name)))?.shape.memoryMib ?? 0,
      ),
    );

  const holderOf = async (key: string) =>
    Number((await readFile(join(lab.run, 'templates', key, 'holder'), 'utf8')).split(' ')[0]);

  it('the CPU ceiling comes with settle, and the cgroups go with the machine', async () => {
    const vmm = await lab.vmm();
    const machine = await vmm.create(specOf('limited', { cpuLimitMillicores: 250 }));
    const { cgroups } = JSON.parse(await readFile(join(machine.directory, 'machine.json'), 'utf8')) as {
      cgroups: string[];
    };
    assert.ok(cgroups.length > 0 && cgroups.every((path) => existsSync(path)));
    const quota = async () => {
      for (const path of cgroups)
        for (const file of ['cpu.cfs_quota_us', 'cpu.max']) {
          const text = await readFile(join(path, file), 'utf8').catch(() => undefined);
          if (text) return text.trim().split(' ')[0];
        }
      return undefined;
    };
    assert.ok(['-1', 'max'].includes((await quota())!), 'no ceiling yet');
    await machine.settle?.();
    assert.equal(await quota(), '25000');
    const members = await readFile(join(cgroups[0]!, 'cgroup.procs'), 'utf8');
    assert.deepEqual(members.trim().split('\n'), [String(await pidOf(machine))]);
    await vmm.destroy(machine.directory);
    assert.deepEqual(
      cgroups.filter((path) => existsSync(path)),
      [],
    );
  });

  it('a guest that went down while no server was there is found, and its end told', async () => {
    const vmm = await lab.vmm();
    const machine = await vmm.create(specOf('alone'));
    await shell(machine, 'true');
    await lab.close(vmm);
    await shellNoAnswer(machine, 'echo c > /proc/sysrq-trigger');
    const next = await lab.vmm();
    const found = await next.find(machine.directory);
    const exit = await found!.exited;
    assert.equal(exit.kind, 'panicked');
    assert.match(exit.message, /Kernel panic - not syncing: sysrq/);
  });

  it('templates are found again by the next server, least used ones go over the bound, half-made ones are scrapped', async () => {
    const templates = async () => (await readdir(join(lab.run, 'templates'))).sort();
    const first = await lab.vmm();
    await first.prepareTemplate(shape);
    const kept = await templates();
    assert.equal(kept.length, 1);
    await lab.close(first);
    await mkdir(join(lab.run, 'templates', 'half-made'));
    const next = await lab.vmm({ templateBytes: 1 });
    assert.deepEqual(await templates(), kept);
    const holder = await holderOf(kept[0]!);
    const before = Date.now();
    assert.equal((await next.create(specOf('one'))).origin, 'template');
    assert.ok(Date.now() - before < 30_000, 'nothing was booted');
    await next.prepareTemplate({ vcpus: 1, memoryMib: 288 });
    assert.deepEqual(
      (await templates()).filter((key) => kept.includes(key)),
      [],
    );
    assert.equal((await templates()).length, 1);
    assert.equal(existsSync(`/proc/${holder}/fd`), false);
    assert.equal(await shell((await next.find(lab.directory('one')))!, 'echo still here'), 'still here');
  });

  it('templates of another guest are scrapped', async () => {
    const first = await lab.vmm();
    await first.prepareTemplate(shape);
    await lab.close(first);
    await writeFile(join(lab.guest, 'version'), 'another\n');
    await lab.vmm();
    assert.deepEqual(await readdir(join(lab.run, 'templates')), []);
  });

  it('a clone of a template whose holder was killed boots cold instead', async () => {
    const vmm = await lab.vmm();
    await vmm.prepareTemplate(shape);
    for (const key of await readdir(join(lab.run, 'templates'))) {
      const pid = await holderOf(key);
      process.kill(pid, 'SIGKILL');
      // Its memory goes a moment after the signal.
      await until('it is gone', async () => (await readdir(`/proc/${pid}/fd`).catch(() => [])).length === 0);
    }
    assert.equal((await vmm.create(specOf('late'))).origin, 'cold');
  });

  it('a server that is killed leaves no parked clone, no half-made template and no placeholder device', async () => {
    // Other instances have theirs.
    const before = await placeholders();
    const script = `
      import { createQemuVmm } from '${import.meta.resolve('../../src/vmm/qemu/qemu-vmm.ts')}';
      import { findGuestArtifacts } from '${import.meta.resolve('../../src/vmm/guest-artifacts.ts')}';
      import { silentLogger as log } from '${import.meta.resolve('../../src/base/log.ts')}';
      const guest = await findGuestArtifacts('${lab.guest}');
      const vmm = await createQemuVmm({ run: '${lab.run}', tag: '${lab.tag}', launcherPath: '${launcherPath}', guest, log, pool: 1, accelerator: '${lab.accelerator}' });
      await vmm.prepareTemplate({ vcpus: 1, memoryMib: 256 });
      console.log('prepared');
      setInterval(() => {}, 1000);`;
    const server = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve, reject) =>
      server.stdout.once('data', resolve).once('end', () => reject(new Error('no server'))),
    );
    await until('a clone is parked', parkedClones);
    server.kill('SIGKILL');
    await until('templates alone are left', async () =>
      (await lab.processes()).every((line) => / hold | .*hold/.test(line) && line.includes('/templates/')),
    );
    const vmm = await lab.vmm();
    assert.deepEqual(await readdir(join(lab.run, 'pool')), []);
    assert.deepEqual(
      (await placeholders()).filter((name) => !before.includes(name)),
      [],
    );
    assert.equal((await vmm.create(specOf('after'))).origin, 'template');
  });
});

async function placeholders(): Promise<string[]> {
  return (await readdir('/sys/class/net')).filter((name) => name.startsWith('sptmp'));
}
