/** The host's mounts for machines' shares, made by the launcher's process (host/launcher/src/binds.rs): what comes along, what stays, what is left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostShareMounts } from '../../src/runtime/bundles/share-mounts.ts';
import { launcherPath } from './support/built-parts.ts';

const skip = process.getuid?.() !== 0 ? 'needs root' : !existsSync(launcherPath) ? `${launcherPath} is missing` : false;

describe("the host's side of shares", { skip }, () => {
  let root: string;
  const mounts = hostShareMounts(launcherPath);
  const share = () => join(root, 'shares/a b');
  const mountsBelow = (path: string) =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.split(' ')[4]?.startsWith(path.replaceAll(' ', '\\040')));
  const mount = (...args: string[]) => execFileSync('mount', args);

  before(() => {
    root = mkdtempSync('/var/tmp/sampan-binds-');
    // Shared propagation, as a host has it: only then could something go back.
    mount('--bind', root, root);
    mount('--make-shared', root);
    mkdirSync(join(root, 'source/below'), { recursive: true });
    writeFileSync(join(root, 'source/file'), 'hello');
  });

  after(() => {
    mounts.close?.();
    for (const line of mountsBelow(root).reverse())
      execFileSync('umount', ['-l', line.split(' ')[4]!.replaceAll('\\040', ' ')]);
    rmSync(root, { recursive: true, force: true });
  });

  test('directories and files appear in the share, with what the host mounts below later; nothing goes back', async () => {
    const source = join(root, 'source');
    await mounts.prepare(share());
    await mounts.prepare(share());
    const part = join(share(), 'c1');
    const carried = [{ name: 'mount0', source: join(source, 'file'), access: 'rw' as const, destination: '/etc/file' }];
    await mounts.bind(part, source, carried);
    await mounts.bind(part, source, carried);
    assert.equal(mountsBelow(part).length, 2, 'asked twice, mounted once');
    assert.equal(readFileSync(join(part, 'mount0'), 'utf8'), 'hello');
    mount('-t', 'tmpfs', 'none', join(source, 'below'));
    writeFileSync(join(source, 'below/late'), 'x');
    assert.ok(existsSync(join(part, 'rootfs/below/late')), "the host's later mount came along");
    await mounts.release(part);
    assert.ok(existsSync(join(source, 'below/late')), "the host's own mount is untouched");
    assert.deepEqual([existsSync(part), mountsBelow(part)], [false, []]);
    execFileSync('umount', [join(source, 'below')]);
  });

  test('what is read-only is so on the host, whatever a guest does: with what is mounted below it, or without', async () => {
    const source = join(root, 'source');
    await mounts.prepare(share());
    mount('-t', 'tmpfs', 'none', join(source, 'below'));
    const part = join(share(), 'c3');
    const of = (name: string, access: 'r' | 'rr') => ({ name, source, access, destination: `/${name}` });
    await mounts.bind(part, source, [of('some', 'r'), of('all', 'rr')]);
    const write = (place: string) => () => writeFileSync(join(part, place), 'x');
    assert.throws(write('some/file'), { code: 'EROFS' });
    assert.throws(write('all/file'), { code: 'EROFS' });
    assert.throws(write('all/below/file'), { code: 'EROFS' });
    write('some/below/file')();
    write('rootfs/file')();
    await mounts.release(part);
    writeFileSync(join(source, 'file'), 'hello');
    execFileSync('umount', [join(source, 'below')]);
  });

  test('releasing a share takes all of it and leaves what was behind it', async () => {
    await mounts.prepare(share());
    await mounts.bind(join(share(), 'c2'), join(root, 'source'), []);
    await mounts.release(join(root, 'shares'));
    await mounts.release(join(root, 'shares'));
    assert.equal(readFileSync(join(root, 'source/file'), 'utf8'), 'hello');
    assert.equal(existsSync(join(root, 'shares')), false);
  });

  test('what cannot be bound is named, and the next request is served', async () => {
    await mounts.prepare(share());
    const part = join(share(), 'c3');
    await assert.rejects(mounts.bind(part, join(root, 'nothing'), []), /bind: open .*nothing/);
    const socket = [{ name: 'mount0', source: '/dev/null', access: 'rw' as const, destination: '/dev/null' }];
    await assert.rejects(mounts.bind(part, join(root, 'source'), socket), /neither a file nor a directory/);
    await mounts.bind(part, join(root, 'source'), []);
    // For a machine on the host's own kernel; asked for again by somebody who did not get the answer.
    const device = socket.map((mount) => ({ ...mount, anyKind: true as const }));
    for (let time = 0; time < 2; time++) await mounts.bind(part, join(root, 'source'), device);
    assert.ok(statSync(join(part, 'mount0')).isCharacterDevice());
    await mounts.release(share());
  });
});
