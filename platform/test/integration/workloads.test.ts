import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, registryUser, startRegistry } from '../fixtures/images/registry.ts';
import { hasKubectl, startInstance, type TestInstance, vmmPids } from './support/instance.ts';
import { createPod, deletePod, isReady, phaseIs, podWhere, shellPod, type TestPod } from './support/pods.ts';
import { until } from './support/wait.ts';

describe('real software from a registry with credentials', () => {
  let instance: TestInstance;
  let registry: Registry;
  before(async () => {
    registry = await startRegistry({ auth: 'basic' });
    for (const name of ['nginx', 'redis', 'postgresql', 'python3', 'big'] as const)
      await registry.pushImage(await buildImage(name), `${name}:1`);
    instance = await startInstance('work');
    const auths = { [registry.host]: registryUser };
    const data = { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') };
    await instance.client.create(
      resources.secrets,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'pull' },
        type: 'kubernetes.io/dockerconfigjson',
        data,
      } as object,
      { namespace: 'default' },
    );
  });
  after(async () => {
    await instance?.stop();
    await registry?.[Symbol.asyncDispose]();
  });

  const pod = (name: string, image: string, container: object = {}, spec: object = {}): TestPod => {
    const base = shellPod(name, '', { imagePullSecrets: [{ name: 'pull' }], ...spec } as object, {
      image: `${registry.host}/${image}:1`,
      command: undefined,
      resources: { limits: { cpu: '1', memory: '256Mi' }, requests: { cpu: '50m' } },
      ...container,
    });
    return base;
  };
  const exec = (name: string, ...words: string[]) => instance.sampan(['exec', name, '--', ...words]);

  test('an image without credentials waits in ImagePullBackOff and says why', async () => {
    await createPod(instance.client, { ...pod('no-secret', 'nginx', {}, { imagePullSecrets: [] }) });
    const waiting = await podWhere(
      instance.client,
      'no-secret',
      'in ImagePullBackOff',
      (one) => one.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ImagePullBackOff',
    );
    assert.match(JSON.stringify(waiting.status), /nginx:1/);
    await deletePod(instance.client, 'no-secret');
  });

  test('nginx serves through port-forward', { skip: hasKubectl ? false : 'kubectl is not installed' }, async () => {
    await createPod(
      instance.client,
      pod('nginx', 'nginx', { readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 } }),
    );
    await isReady(instance.client, 'nginx', 120_000);
    const forward = spawn('kubectl', ['--kubeconfig', instance.kubeconfig, 'port-forward', 'pod/nginx', ':80'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let said = '';
      forward.stdout.on('data', (chunk) => {
        said += chunk;
      });
      const port = await until('a forwarded port', async () => /127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
      for (let i = 0; i < 5; i++) {
        const answer = await fetch(`http://127.0.0.1:${port}/`);
        assert.equal(answer.status, 200);
        assert.match(await answer.text(), /nginx|html/i);
      }
    } finally {
      forward.kill();
    }
    await deletePod(instance.client, 'nginx');
  });

  test('redis keeps what it is told', async () => {
    await createPod(instance.client, pod('redis', 'redis'));
    await isReady(instance.client, 'redis', 120_000);
    await until('redis answers', async () => (await exec('redis', 'redis-cli', 'ping')).stdout.trim() === 'PONG');
    assert.equal((await exec('redis', 'redis-cli', 'set', 'boat', 'sampan')).stdout.trim(), 'OK');
    assert.equal((await exec('redis', 'redis-cli', 'get', 'boat')).stdout.trim(), 'sampan');
    await deletePod(instance.client, 'redis');
  });

  test('postgresql initialises, takes rows, and has them after its container restarted', {
    timeout: 300_000,
  }, async () => {
    const volume = { volumeMounts: [{ name: 'data', mountPath: '/var/lib/postgresql' }] };
    await createPod(
      instance.client,
      pod(
        'postgres',
        'postgresql',
        { ...volume, resources: { limits: { cpu: '2', memory: '512Mi' }, requests: { cpu: '50m' } } },
        { restartPolicy: 'Always', volumes: [{ name: 'data', emptyDir: {} }] },
      ),
    );
    const psql = (sql: string) => exec('postgres', 'psql', '-h', '127.0.0.1', '-U', 'postgres', '-Atc', sql);
    await until('postgres answers', async () => (await psql('select 1')).stdout.trim() === '1', 180_000);
    assert.equal((await psql('create table boats (name text)')).code, 0);
    assert.equal((await psql("insert into boats select 'sampan ' || n from generate_series(1, 100) n")).code, 0);
    await exec('postgres', 'sh', '-c', 'kill -INT 1');
    await podWhere(
      instance.client,
      'postgres',
      'restarted',
      (one) => (one.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 1,
      120_000,
    );
    await until(
      'the rows are there',
      async () => (await psql('select count(*) from boats')).stdout.trim() === '100',
      180_000,
    );
    await deletePod(instance.client, 'postgres');
  });

  test('a python batch Pod that exits 3 is Failed, keeps its code, and releases its VM', async () => {
    const script = 'import sys, json; print(json.dumps({"sum": sum(range(1000))})); sys.exit(3)';
    const machines = vmmPids(instance).length;
    await createPod(instance.client, pod('batch', 'python3', { command: ['python3', '-c', script] }));
    const failed = await phaseIs(instance.client, 'batch', 'Failed', 120_000);
    assert.equal(failed.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 3);
    assert.equal((await instance.sampan(['logs', 'batch'])).stdout, '{"sum": 499500}\n');
    await until('its VM is released', async () => vmmPids(instance).length <= machines);
  });

  test('an image of 1 GB is pulled and runs', { timeout: 300_000 }, async () => {
    await createPod(instance.client, pod('big', 'big', { command: ['sh', '-c', 'du -sm / 2>/dev/null | cut -f1'] }));
    await phaseIs(instance.client, 'big', 'Succeeded', 240_000);
    assert.ok(Number((await instance.sampan(['logs', 'big'])).stdout) >= 1000);
  });
});
