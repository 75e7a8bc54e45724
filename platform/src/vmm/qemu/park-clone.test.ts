import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { accelerationProfiles } from './acceleration.ts';
import { freezeTemplate } from './freeze-template.ts';
import { HostCgroups } from './host-cgroups.ts';
import { startClone } from './park-clone.ts';
import type { QemuContext } from './qemu-context.ts';

const shape = { vcpus: 1, memoryMib: 256 };

/** A launcher that starts nothing, says nothing and ends when its server does. */
async function inSilence(body: (context: QemuContext, root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'sampan-park-'));
  const launcherPath = join(root, 'launch');
  await writeFile(launcherPath, '#!/bin/sh\nexec cat >/dev/null\n');
  await chmod(launcherPath, 0o755);
  const artifact = (name: string) => join(root, name);
  const context = {
    run: root,
    guest: { kernelPath: artifact('k'), initrdPath: artifact('i'), rootfsPath: artifact('r'), version: '1' },
    launcherPath,
    qemuPath: '/usr/bin/true',
    qemuVersion: '7.2',
    profile: accelerationProfiles.tcg,
    tscKhz: async () => 1_000_000,
    cgroups: await HostCgroups.open('park', join(root, 'cgroup')),
    clock: systemClock,
    log: silentLogger,
  };
  try {
    await body(context as QemuContext, root);
  } finally {
    await rm(root, { recursive: true });
  }
}

test('a clone that is being made when the server closes is given up at once, and nothing is left of it', () =>
  inSilence(async (context, root) => {
    const directory = join(root, 'pool-1');
    const template = { key: 'k', directory: root, memoryPath: '/dev/null', statePath: '/dev/null' };
    const stop = new AbortController();
    const begun = performance.now();
    const starting = startClone(context, {
      ...{ name: 'pool-1', directory, shape, disks: [], signal: stop.signal },
      template: { ...template, bytes: 1, lastUsedMs: 0 },
    });
    setTimeout(() => stop.abort(), 200);
    await assert.rejects(starting);
    assert.ok(performance.now() - begun < 20_000, 'long before anybody would have lost patience');
    assert.equal(existsSync(directory), false);
  }));

test('so is a template', () =>
  inSilence(async (context, root) => {
    const stop = new AbortController();
    const begun = performance.now();
    const making = freezeTemplate(context, { directory: root, shape, signal: stop.signal });
    setTimeout(() => stop.abort(), 200);
    await assert.rejects(making);
    assert.ok(performance.now() - begun < 20_000, 'long before anybody would have lost patience');
  }));
