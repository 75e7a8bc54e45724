import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inDefault, serveTestApi } from '../../../test/integration/api-ask.ts';
import { testPod } from '../../../test/integration/api-test-server.ts';
import { silentLogger } from '../../base/log.ts';
import { openAuditLog } from './audit-log.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-audit-'));
});
after(() => rm(directory, { recursive: true, force: true }));

interface Event {
  verb: string;
  requestURI: string;
  user: { username: string };
  impersonatedUser?: { username: string };
  objectRef?: object;
  responseStatus: object;
  [field: string]: unknown;
}

const linesOf = async (path: string): Promise<Event[]> =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('the audit log', () => {
  test('tells who did what to which object and how it ended, and nothing of what was in it', async () => {
    const path = join(directory, 'deep', 'audit.log');
    const audit = await openAuditLog({ path, log: silentLogger });
    let tokens: string[] = [];
    {
      await using running = await serveTestApi({ audit });
      const { ask, post, nobody, api } = running;
      const secret = { metadata: { name: 'safe' }, stringData: { password: 'hunter2' } };
      assert.equal((await post(`${inDefault}/secrets`, secret)).status, 201);
      await ask(`${inDefault}/secrets/safe`);
      const labels = { 'pod-security.kubernetes.io/audit': 'baseline' };
      await post('/api/v1/namespaces', { metadata: { name: 'watched', labels } });
      const account = { metadata: { name: 'default' } };
      await post('/api/v1/namespaces/watched/serviceaccounts', account);
      const { spec } = testPod('loose');
      Object.assign(spec.containers[0]!, { securityContext: { privileged: true } });
      await post('/api/v1/namespaces/watched/pods', { metadata: { name: 'loose' }, spec });
      await ask(`${inDefault}/pods`, { headers: { 'impersonate-user': 'jane' } });
      await ask('/api/v1/pods', { agent: nobody, headers: { authorization: 'Bearer stolen-token' } });
      await ask('/api/v1/pods?limit=1', { agent: nobody, headers: { authorization: `Bearer ${api.pki.adminToken}` } });
      await ask('/healthz');
      const made = await post(`${inDefault}/serviceaccounts/default/token`, { spec: {} });
      const issued = made.json.status.token as string;
      await ask('/api/v1', { agent: nobody, headers: { authorization: `Bearer ${issued}` } });
      tokens = [issued, api.pki.adminToken];
    }
    const text = await readFile(path, 'utf8');
    for (const word of ['hunter2', Buffer.from('hunter2').toString('base64'), 'stolen-token', ...tokens]) {
      assert.ok(!text.includes(word), `${word} is in the audit log`);
    }
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const [created, read, , , pod, impersonated, stolen, listed, , discovered, ...rest] = await linesOf(path);
    assert.deepEqual(rest, []);
    assert.deepEqual(
      [created?.kind, created?.apiVersion, created?.level, created?.stage, created?.verb],
      ['Event', 'audit.k8s.io/v1', 'Metadata', 'ResponseComplete', 'create'],
    );
    const { uid, resourceVersion, ...object } = (created?.objectRef ?? {}) as Record<string, string>;
    assert.ok(uid && resourceVersion);
    assert.deepEqual(object, { resource: 'secrets', namespace: 'default', name: 'safe', apiVersion: 'v1' });
    assert.deepEqual(created?.responseStatus, { metadata: {}, code: 201 });
    assert.deepEqual(
      [read?.verb, read?.requestURI, read?.user.username],
      ['get', `${inDefault}/secrets/safe`, 'admin'],
    );
    assert.deepEqual(pod?.annotations, {
      'authorization.k8s.io/decision': 'allow',
      'pod-security.kubernetes.io/enforce-policy': 'privileged:latest',
      'pod-security.kubernetes.io/audit-violations':
        'would violate PodSecurity "baseline:latest": privileged (container "main" must not set securityContext.privileged=true)',
    });
    assert.deepEqual([impersonated?.user.username, impersonated?.impersonatedUser?.username], ['admin', 'jane']);
    assert.deepEqual(impersonated?.annotations, { 'authorization.k8s.io/decision': 'forbid' });
    assert.deepEqual(impersonated?.responseStatus, { metadata: {}, status: 'Failure', reason: 'Forbidden', code: 403 });
    assert.deepEqual(stolen?.responseStatus, { metadata: {}, status: 'Failure', reason: 'Unauthorized', code: 401 });
    assert.equal(listed?.verb, 'list');
    assert.deepEqual([discovered?.verb, discovered?.objectRef], ['get', undefined]);
  });

  test('begins a new file when one is full, and keeps so many', async () => {
    const path = join(directory, 'rotating.log');
    const audit = await openAuditLog({ path, log: silentLogger, maxBytes: 200, kept: 2 });
    for (let i = 0; i < 20; i++) {
      audit.write({ number: i, filling: 'x'.repeat(50) });
      if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await audit.close();
    const files = (await readdir(directory)).filter((name) => name.startsWith('rotating')).sort();
    assert.deepEqual(files, ['rotating.log', 'rotating.log.1', 'rotating.log.2']);
    const numbers: unknown[] = [];
    for (const file of files.reverse())
      for (const { number } of await linesOf(join(directory, file))) numbers.push(number);
    const expected = Array.from({ length: numbers.length }, (_, i) => 20 - numbers.length + i);
    assert.deepEqual(numbers, expected, 'in order, without a gap, up to the last');
  });

  test('goes on in the file that is there', async () => {
    const path = join(directory, 'again.log');
    for (const number of [1, 2]) {
      const audit = await openAuditLog({ path, log: silentLogger });
      audit.write({ number });
      await audit.close();
    }
    assert.deepEqual(
      (await linesOf(path)).map(({ number }) => number),
      [1, 2],
    );
  });
});
