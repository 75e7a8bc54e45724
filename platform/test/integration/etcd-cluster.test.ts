/** The ways to etcd: a cluster that loses members, TLS with client certificates, and what is said when there is none. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { issue, makeCa } from '../../src/apiserver/pki/certificates.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openEtcdStore } from '../../src/store/etcd/etcd-store.ts';
import type { StoreEvent } from '../../src/store/store.ts';
import { freePort } from '../fixtures/free-port.ts';
import { debianEtcd, newEtcd, startCluster, startEtcd } from './support/etcd-lab.ts';

const found = debianEtcd() ?? (await newEtcd()).path;
const binary = found ?? '';
const skip = found ? false : 'no etcd on this machine (package etcd-server)';
const log = silentLogger;
const value = Buffer.from('x');

it('writes, reads and a watch go on when any one of three members dies', { skip }, async () => {
  const members = await startCluster({ binary }, 3);
  const store = await openEtcdStore({ endpoints: members.map((member) => member.endpoint), log });
  const stop = new AbortController();
  const seen: StoreEvent[] = [];
  const watching = (async () => {
    for await (const batch of store.watch('/', 0, stop.signal)) seen.push(...batch);
  })();
  try {
    const written: number[] = [];
    const write = async () => {
      for (let tries = 0; ; tries++) {
        try {
          return void written.push(await store.commit([{ key: `/k${written.length}-${tries}`, value }]));
        } catch (error) {
          // What was under way with the dead member, or while the others elect: nobody may send it again but us.
          if (!isReason(error, 'Timeout', 'ServiceUnavailable') || tries > 100) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    for (const member of members) {
      for (let i = 0; i < 20; i++) await write();
      await member.kill();
      for (let i = 0; i < 20; i++) await write();
      await member.restart();
    }
    const last = written.at(-1)!;
    while ((seen.at(-1)?.revision ?? 0) < last) await new Promise((resolve) => setTimeout(resolve, 20));
    const { entries } = await store.list('/');
    const revisions = new Set(entries.map((entry) => entry.modRevision));
    assert.ok(written.every((revision) => revisions.has(revision)));
    assert.deepEqual(
      seen.map((event) => [event.key, event.revision]).sort(),
      entries.map((entry) => [entry.key, entry.modRevision]).sort(),
      'the watch has told each write once',
    );
  } finally {
    stop.abort();
    await watching;
    await store.close();
    await Promise.all(members.map((member) => member.dispose()));
  }
});

// Each is refused only once the time for a first answer is over: side by side they cost it once.
describe('an etcd that cannot be used', { concurrency: true }, () => {
  it('TLS with client certificates lets in whom etcd trusts, and trusts only the CA it is given', {
    skip,
  }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sampan-etcd-tls-'));
    const file = async (name: string, text: string) => {
      await writeFile(join(directory, name), text, { mode: 0o600 });
      return join(directory, name);
    };
    const times = { notBeforeMs: Date.now() - 60_000, lifetimeMs: 86_400_000 };
    const ca = await makeCa({ subject: { commonName: 'etcd-ca' }, ...times });
    const strangeCa = await makeCa({ subject: { commonName: 'other-ca' }, ...times });
    const subject = { commonName: 'sampan' };
    // etcd's own gateway is a client of its serving port, with the serving certificate.
    const server = await issue({ ca, use: 'server', subject, addresses: ['127.0.0.1'], ...times });
    const client = await issue({ ca, use: 'client', subject, ...times });
    const strange = await issue({ ca: strangeCa, use: 'client', subject, ...times });
    const caFile = await file('ca.crt', ca.certificate);
    const tls = {
      ca: caFile,
      cert: await file('server.crt', server.certificate),
      key: await file('server.key', server.key),
    };
    const etcd = await startEtcd({ binary, tls });
    const endpoints = [etcd.endpoint];
    try {
      const [certFile, keyFile] = [await file('client.crt', client.certificate), await file('client.key', client.key)];
      const store = await openEtcdStore({ endpoints, caFile, certFile, keyFile, log });
      const revision = await store.commit([{ key: '/a', value }]);
      assert.equal((await store.get('/a'))?.modRevision, revision);
      await store.close();

      const refused = (options: object) =>
        assert.rejects(openEtcdStore({ endpoints, log, ...options }), (error) => isReason(error, 'FailedPrecondition'));
      const strangeCert = await file('strange.crt', strange.certificate);
      const strangeKey = await file('strange.key', strange.key);
      await Promise.all([
        refused({ caFile, certFile: strangeCert, keyFile: strangeKey }),
        refused({ caFile: await file('strange-ca.crt', strangeCa.certificate), certFile, keyFile }),
      ]);
    } finally {
      await etcd.dispose();
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('a store that is not there is named', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await assert.rejects(openEtcdStore({ endpoints: [endpoint], log }), (error) => {
      assert.ok(isReason(error, 'FailedPrecondition'));
      assert.ok(error.message.includes(endpoint));
      return true;
    });
  });
});
