import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { countBeside, placesOf, removeOwnedParents } from './cgroup-places.ts';

async function withRoots(work: (roots: string[], root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'cgroup-places-'));
  const roots = ['cpu', 'memory'].map((name) => join(root, name));
  try {
    for (const path of roots) await mkdir(path);
    await work(roots, root);
  } finally {
    await rm(root, { recursive: true });
  }
}

const machine = { tag: 't', name: 'm' };

test("a group of the machine's own is made where what it is in is, and goes with the machine alone", () =>
  withRoots(async (roots, root) => {
    const asked = { roots, ...machine, parent: { path: '/team/web', isOwn: true } };
    const everywhere = roots.map((path) => join(path, 'team/web/sampan-t-m'));
    assert.deepEqual(placesOf(asked), everywhere);
    await mkdir(join(root, 'memory/team'));
    const places = placesOf(asked);
    assert.deepEqual(places, [join(root, 'cpu/sampan-t/m'), join(root, 'memory/team/web/sampan-t-m')]);
    for (const place of places) await mkdir(place, { recursive: true });

    await removeOwnedParents(places, systemClock);
    assert.ok(existsSync(places[1]!), 'what is still in use stays');
    for (const place of places) await rm(place, { recursive: true });
    await removeOwnedParents(places, systemClock);
    await removeOwnedParents(places, systemClock);
    const left = ['cpu/sampan-t', 'memory/team', 'memory/team/web'].map((path) => existsSync(join(root, path)));
    assert.deepEqual(left, [true, true, false]);
  }));

test('a process is counted above a machine that has a group of its own, and stays where it is beside one that has none', () =>
  withRoots(async (roots, root) => {
    const asked = placesOf({ roots, ...machine, parent: { path: '/team/web', isOwn: true } });
    const own = placesOf({ roots, ...machine });
    for (const place of [...asked, ...own]) await mkdir(place, { recursive: true });
    await countBeside(7, asked);
    await countBeside(7, own);
    const files = await readdir(root, { recursive: true, withFileTypes: true });
    const inside = files.filter((file) => file.isFile()).map(({ parentPath }) => parentPath.slice(root.length));
    assert.deepEqual(inside.sort(), ['/cpu/team/web', '/memory/team/web']);
    assert.equal(await readFile(join(root, 'cpu/team/web/cgroup.procs'), 'utf8'), '7');
  }));

test('a slice that systemd has not made is made by nobody', () =>
  withRoots(async (roots, root) => {
    const asked = { roots, ...machine, parent: { path: '/machine.slice', isOwn: false } };
    assert.deepEqual(placesOf(asked), placesOf({ roots, ...machine }));
    await mkdir(join(root, 'cpu/machine.slice'));
    const places = [join(root, 'cpu/machine.slice/sampan-t-m'), join(root, 'memory/sampan-t/m')];
    assert.deepEqual(placesOf(asked), places);
  }));
