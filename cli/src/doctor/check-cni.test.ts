import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkCni, checkMacvlan } from './check-cni.ts';

test('doctor names the CNI network that Pods would get, and the plugins of it that are not there', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'doctor-cni-'));
  t.after(() => rm(directory, { recursive: true }));
  const env = { SAMPAN_CNI_CONF_DIR: directory, SAMPAN_CNI_BIN_DIR: `/nowhere:${directory}` };
  assert.match((await checkCni(env)).found, /no CNI network/);
  await writeFile(join(directory, '00-broken.conflist'), '{');
  const bridge = { type: 'bridge', ipam: { type: 'host-local' } };
  await writeFile(
    join(directory, '10-net.conflist'),
    JSON.stringify({ name: 'net', plugins: [bridge, { type: 'portmap' }] }),
  );
  for (const name of ['bridge', 'portmap']) {
    await writeFile(join(directory, name), '#!/bin/sh\n');
    await chmod(join(directory, name), 0o755);
  }
  const lacking = await checkCni(env);
  assert.equal(lacking.state, 'fail');
  assert.match(lacking.found, /^network net of .*: bridge host-local portmap; not in .*: host-local$/);
  await writeFile(join(directory, 'host-local'), '#!/bin/sh\n');
  await chmod(join(directory, 'host-local'), 0o755);
  assert.equal((await checkCni(env)).state, 'ok');
});

test('a file of one plugin is a network too', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'doctor-cni-'));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, '10-one.conf'), JSON.stringify({ name: 'one', type: 'ptp' }));
  assert.match((await checkCni({ SAMPAN_CNI_CONF_DIR: directory })).found, /^network one of .*: ptp/);
});

test('doctor says whether the parent of macvlan is there, and the plugins', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'doctor-cni-'));
  t.after(() => rm(directory, { recursive: true }));
  const env = (parent: string) => ({ SAMPAN_MACVLAN: `${parent},10.0.0.1-10.0.0.9/24`, SAMPAN_CNI_BIN_DIR: directory });
  assert.match((await checkMacvlan(env('wire9'))).found, /no device wire9/);
  assert.match((await checkMacvlan(env('lo'))).found, /no CNI plugin macvlan, host-local/);
  for (const name of ['macvlan', 'host-local']) {
    await writeFile(join(directory, name), '#!/bin/sh\n');
    await chmod(join(directory, name), 0o755);
  }
  assert.equal((await checkMacvlan(env('lo'))).state, 'ok');
});
