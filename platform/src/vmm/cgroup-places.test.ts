import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { placesOf, removeOwnedParents } from './cgroup-places.ts';

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
    const asked = { roots, ...machine, parent: '/team/web', owned: true };
    const everywhere = roots.map((path) => join(path, 'team/web/sampan-t-m'));
    assert.deepEqual(placesOf(asked), everywhere);
    await mkdir(join(root, 'memory/team'));
    const places = placesOf(asked);
    assert.deepEqual(places, [join(root, 'cpu/sampan-t/m'), join(root, 'memory/team/web/sampan-t-m')]);
    for (const place of places) await mkdir(place, { recursive: true });

    await removeOwnedParents(places);
    assert.ok(existsSync(places[1]!), 'what is still in use stays');
    for (const place of places) await rm(place, { recursive: true });
    await removeOwnedParents(places);
    await removeOwnedParents(places);
    const left = ['cpu/sampan-t', 'memory/team', 'memory/team/web'].map((path) => existsSync(join(root, path)));
    assert.deepEqual(left, [true, true, false]);
  }));

test('a slice that systemd has not made is made by nobody', () =>
  withRoots(async (roots, root) => {
    const asked = { roots, ...machine, parent: '/machine.slice' };
    assert.deepEqual(placesOf(asked), placesOf({ roots, ...machine }));
    await mkdir(join(root, 'cpu/machine.slice'));
    const places = [join(root, 'cpu/machine.slice/sampan-t-m'), join(root, 'memory/sampan-t/m')];
    assert.deepEqual(placesOf(asked), places);
  }));
