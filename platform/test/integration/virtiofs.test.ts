/** Directories of the host in real machines: what both sides see of each other, and what the guest does not get at. Through the runtime: virtiofs-pods.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Agent, GuestMount } from '../../src/runtime/agent/agent.ts';
import type { Machine } from '../../src/vmm/vmm.ts';
import { mountShared } from './support/shared-mount.ts';
import { until } from './support/wait.ts';
import { makeRoot, missingParts, ShareLab, serverProcesses } from './virtiofs-lab.ts';

const lines = (text: string) => text.trim().split('\n');
const md5 = (data: Uint8Array) => createHash('md5').update(data).digest('hex');
const at = (volumeId: string, containerPath: string, more: Partial<GuestMount> = {}): GuestMount => ({
  volumeId,
  containerPath,
  readOnly: false,
  ...more,
});

describe('a directory of the host in a machine', { skip: missingParts() }, () => {
  let lab: ShareLab;
  let machine: Machine;
  let agent: Agent;
  /** Work on the host; /share in a container. */
  let work: string;

  before(async () => {
    lab = await ShareLab.open();
    work = join(lab.shared, 'work');
    machine = await lab.machine('one');
    agent = await lab.agent(machine);
  });
  after(() => lab?.close());

  const host = async (name: string, hostPath: string, more = {}): Promise<void> => {
    await machine.mountInShare!({ tag: 'host', name, hostPath, readOnly: false, propagation: 'private', ...more });
    await agent.createVolume({ id: name, kind: 'share', tag: 'host', subPath: name });
  };

  test('files, owners, modes and links are the same on both sides', async () => {
    await writeFile(join(work, 'ours'), 'from the host\n', { mode: 0o640 });
    execFileSync('chown', ['1234:4321', join(work, 'ours')]);
    const script = [
      'cd /share; cat ours; stat -c "%u %g %a" ours',
      'echo from the guest > theirs; chown 33:44 theirs; chmod 4750 theirs; ln theirs hard; ln -s theirs soft',
      'mkdir -m 1777 sticky; mkfifo pipe; mv hard renamed; echo more >> ours; touch -d 2001-02-03 theirs',
      'mknod device c 1 3 || echo no devices',
    ].join('\n');
    const output = lines(await lab.run(agent, script));
    assert.deepEqual(output.slice(0, 2), ['from the host', '1234 4321 640']);
    assert.equal(output.at(-1), 'no devices');
    const theirs = statSync(join(work, 'theirs'));
    assert.deepEqual([theirs.uid, theirs.gid, theirs.mode & 0o7777, theirs.nlink], [33, 44, 0o4750, 2]);
    assert.equal(theirs.mtime.getFullYear(), 2001);
    assert.equal(readFileSync(join(work, 'renamed'), 'utf8'), 'from the guest\n');
    assert.equal(readlinkSync(join(work, 'soft')), 'theirs');
    assert.equal(statSync(join(work, 'sticky')).mode & 0o7777, 0o1777);
    assert.ok(statSync(join(work, 'pipe')).isFIFO());
    assert.equal(readFileSync(join(work, 'ours'), 'utf8'), 'from the host\nmore\n');
  });

  test('who may not, may not: the guest’s users are held to the modes', async () => {
    await writeFile(join(work, 'secret'), 'x', { mode: 0o600 });
    const user = 'su -s /bin/sh web -c';
    const script = `${user} 'cat /share/secret; echo x > /share/new' 2>&1; echo end`;
    const output = await lab.run(agent, script);
    assert.match(output, /can't open '\/share\/secret': Permission denied/);
    assert.match(output, /can't create \/share\/new: Permission denied/);
    assert.equal(existsSync(join(work, 'new')), false);
  });

  test('a large file goes whole, both ways', async () => {
    const content = randomBytes(32 << 20);
    await writeFile(join(work, 'large'), content);
    const output = await lab.run(
      agent,
      'cd /share; md5sum < large; dd if=large of=copy bs=1M 2>&1 | tail -1; sync copy',
    );
    assert.ok(output.startsWith(md5(content)), output);
    assert.equal(md5(readFileSync(join(work, 'copy'))), md5(content));
  });

  test('so do many small ones', async () => {
    await mkdir(join(work, 'small'));
    for (let index = 0; index < 300; index++) writeFileSync(join(work, 'small', `ours-${index}`), `${index}\n`);
    const script =
      'cd /share/small; cat ours-* | md5sum; i=0; while [ $i -lt 300 ]; do echo $i > theirs-$i; i=$((i+1)); done; ls | wc -l';
    const output = lines(await lab.run(agent, script));
    const names = Array.from({ length: 300 }, (_, index) => `ours-${index}`).sort();
    const expected = names.map((name) => `${name.slice(5)}\n`).join('');
    assert.equal(output[0]!.split(' ')[0], md5(Buffer.from(expected)));
    assert.equal(output[1], '600');
    const theirs = readdirSync(join(work, 'small')).filter((name) => name.startsWith('theirs'));
    assert.equal(theirs.length, 300);
    assert.equal(readFileSync(join(work, 'small/theirs-299'), 'utf8'), '299\n');
  });

  test('a part of the host’s tree is put in while the machine runs: a directory, a file, read-only', async () => {
    const tree = join(lab.directory, 'tree');
    await mkdir(join(tree, 'later'), { recursive: true });
    await writeFile(join(tree, 'file'), 'one file\n');
    await host('tree', tree);
    await host('frozen', tree, { readOnly: true });
    await host('file', join(tree, 'file'));
    const script = [
      'cat /tree/file /file; echo changed > /file; touch /tree/made; touch /frozen/no; echo x > /bound/file; ls /bound',
      'mount -o remount,rw /frozen; echo x > /frozen/file; rm /frozen/file',
    ].join('\n');
    const mounts = [at('tree', '/tree'), at('frozen', '/frozen'), at('file', '/file')];
    const output = await lab.run(agent, `( ${script} ) 2>&1`, {
      mounts: [...mounts, at('tree', '/bound', { readOnly: true })],
    });
    assert.match(output, /^one file\none file\n/);
    assert.match(output, /touch: \/frozen\/no: Read-only file system/);
    assert.match(output, /can't create \/bound\/file: Read-only file system/);
    // The guest's own kernel may think otherwise: the host's mount is what counts.
    assert.match(output, /can't create \/frozen\/file: Read-only file system/);
    assert.equal(readFileSync(join(tree, 'file'), 'utf8'), 'changed\n');
    assert.deepEqual(readdirSync(tree).sort(), ['file', 'later', 'made']);
  });

  test('what the host mounts later is seen where it was asked for, and nothing is mounted back', async () => {
    const tree = join(lab.directory, 'propagation');
    await mkdir(join(tree, 'later'), { recursive: true });
    mountShared(tree);
    try {
      await host('follows', tree, { propagation: 'slave' });
      await host('stays', tree);
      execFileSync('mount', ['-t', 'tmpfs', 'later', join(tree, 'later')]);
      writeFileSync(join(tree, 'later/new'), 'came later\n');
      const script =
        'cat /follows/later/new; ls /stays/later | wc -l; mount -t tmpfs x /follows/later; touch /follows/later/inside';
      const mounts = [at('follows', '/follows'), at('stays', '/stays')];
      assert.deepEqual(lines(await lab.run(agent, script, { mounts })), ['came later', '0']);
      assert.deepEqual(readdirSync(join(tree, 'later')), ['new']);
    } finally {
      execFileSync('umount', ['-R', '-l', tree]);
    }
  });

  test('nothing leads out of the share: links, steps up, the server’s own view', async () => {
    const outside = join(lab.directory, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'of the host\n');
    await symlink(outside, join(work, 'link'));
    await symlink('../../outside', join(work, 'relative'));
    const output = await lab.run(
      agent,
      'cat /share/link/secret /share/relative/secret /share/../../outside/secret 2>&1; cd /share; ln -s /proc/1/root proc; ls proc/var/tmp 2>&1; rm proc',
    );
    assert.equal(lines(output).filter((line) => line.includes('No such file')).length, 4, output);
    assert.doesNotMatch(output, /of the host/);
    for (const subPath of ['work/link', 'work/relative', '../outside', 'work/../../../outside'])
      await assert.rejects(agent.createVolume({ id: 'escape', kind: 'share', tag: 'host', subPath }), {
        reason: 'NotFound',
      });
    await agent.createVolume({ id: 'up', kind: 'share', tag: 'host', subPath: '../../..' });
    const up = await lab.run(agent, 'ls /up', { mounts: [at('up', '/up')] });
    assert.ok(lines(up).includes('work'), 'as far up as the share itself');
    const inside = await lab
      .run(agent, 'ls /sub 2>&1', { mounts: [at('host', '/sub', { subPath: 'work/link' })] })
      .catch((error: Error) => error.message);
    assert.doesNotMatch(inside, /secret/);
  });

  test('the server of a share has the share and nothing else: no other file, no network, few powers, few system calls', () => {
    const server = serverProcesses(lab.shared).at(-1)!;
    const status = readFileSync(`/proc/${server}/status`, 'utf8');
    const effective = BigInt(`0x${/CapEff:\s*(\w+)/.exec(status)![1]}`);
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETFCAP; without DAC_READ_SEARCH no file is opened by its handle, without MKNOD no device is made.
    const allowed = [0n, 1n, 3n, 4n, 6n, 7n, 31n].reduce((sum, bit) => sum | (1n << bit), 0n);
    assert.equal(effective & ~allowed, 0n, `more powers than files need: ${effective.toString(16)}`);
    assert.match(status, /Seccomp:\s*2/);
    assert.ok(readdirSync(`/proc/${server}/root`).includes('work'));
    assert.equal(existsSync(`/proc/${server}/root/etc/passwd`), false);
    const mounts = lines(readFileSync(`/proc/${server}/mountinfo`, 'utf8'));
    assert.ok(mounts.length > 0 && mounts.every((line) => !line.includes('/proc rw')), mounts.join('\n'));
    assert.notEqual(readlinkSync(`/proc/${server}/ns/net`), readlinkSync('/proc/self/ns/net'));
    assert.equal(lines(readFileSync(`/proc/${server}/net/dev`, 'utf8')).length, 3, 'two headings and lo');
  });

  test('a directory is a container’s root as it is', async () => {
    await makeRoot(join(lab.shared, 'root'));
    const rootfs = { volumeId: 'host', subPath: 'root', readOnly: false };
    const inRoot = (script: string, readOnly: boolean) =>
      lab.run(agent, `( ${script} ) 2>&1`, {
        rootfs: { ...rootfs, readOnly },
        mounts: [at('host', '/share', { subPath: 'work' })],
      });
    const output = await inRoot(
      'id -u; echo kept > /made; ls /share/ours; [ -e /proc/self/status ] && ls / | wc -l',
      false,
    );
    assert.deepEqual(lines(output), ['0', '/share/ours', '8']);
    assert.equal(readFileSync(join(lab.shared, 'root/made'), 'utf8'), 'kept\n');
    const frozen = await inRoot('cat /made; echo x > /made; echo y > /share/from-frozen', true);
    assert.match(frozen, /^kept\n.*can't create \/made: Read-only file system/);
    assert.equal(readFileSync(join(lab.shared, 'root/made'), 'utf8'), 'kept\n');
    assert.ok(existsSync(join(work, 'from-frozen')));
    await assert.rejects(lab.run(agent, 'true', { rootfs: { ...rootfs, subPath: 'nowhere' } }), { reason: 'NotFound' });
  });

  test('a server that comes back finds the machine, its share, and may put more into it', async () => {
    await agent.close();
    await lab.forgetVmm();
    const found = await (await lab.vmm()).find(lab.machineDirectory('one'));
    assert.ok(found);
    machine = found;
    agent = await lab.agent(machine, true);
    assert.match(await lab.run(agent, 'cat /share/theirs'), /from the guest/);
    await host('again', lab.directory, { readOnly: true });
    assert.match(await lab.run(agent, 'ls /again', { mounts: [at('again', '/again')] }), /image\.erofs/);
  });

  test('a server of files that dies takes its machine along, with words, even under a file that is being read', async () => {
    const waiting = lab.run(agent, 'while true; do cat /share/large > /dev/null; done').catch((error: Error) => error);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const begun = performance.now();
    process.kill(serverProcesses(lab.shared)[0]!, 'SIGKILL');
    const exit = await machine.exited;
    assert.equal(exit.kind, 'killed');
    assert.match(exit.message, /the file server of share host ended/);
    assert.ok(performance.now() - begun < 30_000);
    await agent.close();
    await waiting;
    await (await lab.vmm()).destroy(lab.machineDirectory('one'));
    assert.deepEqual(serverProcesses(lab.shared), []);
  });

  test('one whose server of files died while nobody was there is told as gone when somebody is', async () => {
    // Up, so that it is the guest's files that are lost and not its boot.
    const up = await lab.agent(await lab.machine('three'));
    await up.close();
    await lab.forgetVmm();
    process.kill(serverProcesses(lab.shared)[0]!, 'SIGKILL');
    const found = await (await lab.vmm()).find(lab.machineDirectory('three'));
    const exit = await found!.exited;
    assert.equal(exit.kind, 'killed');
    assert.match(exit.message, /the file server of share host ended/);
    await (await lab.vmm()).destroy(lab.machineDirectory('three'));
  });

  test('a machine that dies takes the servers of its files along', async () => {
    const two = await lab.machine('two', { readOnly: true });
    assert.equal(serverProcesses(lab.shared).length, 2);
    const other = await lab.agent(two);
    assert.match(
      await lab.run(other, 'cat /share/theirs; touch /share/x 2>&1'),
      /from the guest\ntouch: \/share\/x: Read-only/,
    );
    await other.close();
    process.kill(Number(readFileSync(`${two.directory}/pid`, 'utf8').split(' ')[0]), 'SIGKILL');
    assert.equal((await two.exited).kind, 'killed');
    await until('they have ended', async () => serverProcesses(lab.shared).length === 0);
  });
});
