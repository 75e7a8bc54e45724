import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { silentLogger } from '../base/log.ts';
import { openStore } from './open-store.ts';

test('SQLite in the home is the default, and is not shared', async () => {
  const home = await mkdtemp(join(tmpdir(), 'sampan-home-'));
  const { store, isShared } = await openStore(home, silentLogger, {});
  assert.equal(isShared, false);
  assert.equal(await store.commit([{ key: '/a', value: new Uint8Array() }]), 1);
  await store.close();
  await rm(home, { recursive: true });
});

test('settings that make no sense are refused by name', async () => {
  const refused = (env: NodeJS.ProcessEnv, words: RegExp) =>
    assert.rejects(openStore('/nowhere', silentLogger, env), (error) => {
      assert.ok(isReason(error, 'BadRequest'), String(error));
      assert.match(error.message, words);
      return true;
    });
  await refused({ SAMPAN_STORE: 'oracle' }, /SAMPAN_STORE is "oracle"/);
  await refused({ SAMPAN_STORE: 'etcd' }, /SAMPAN_ETCD_ENDPOINTS/);
  await refused({ SAMPAN_ETCD_ENDPOINTS: 'http://127.0.0.1:1' }, /SAMPAN_STORE is not "etcd"/);
  const etcd = { SAMPAN_STORE: 'etcd', SAMPAN_ETCD_ENDPOINTS: 'http://127.0.0.1:1' };
  await refused({ ...etcd, SAMPAN_ETCD_CERT_FILE: '/c.pem' }, /go together/);
  await refused({ ...etcd, SAMPAN_ETCD_ENDPOINTS: '127.0.0.1:1' }, /https:\/\/host:port/);
});
