/** hostPath volumes of Pods, from the API to the files: the node checks what a type promises, the Pod's machine shares it, Pod Security keeps it from tenants. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { createPod, deletePod, phaseIs, podWhere, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';
import { missingParts } from './virtiofs-lab.ts';

describe('a path of the node in a Pod', { skip: missingParts() }, () => {
  let instance: TestInstance;
  let host: string;
  before(async () => {
    host = await mkdtemp('/var/tmp/sampan-host-path-');
    instance = await startInstance('hostpath');
    await loadDemoImage(instance);
  });
  after(async () => {
    await instance?.stop();
    await rm(host, { recursive: true });
  });

  const volume = (path: string, type?: string) => ({ name: 'v', hostPath: { path, ...(type ? { type } : {}) } });
  const pod = (name: string, script: string, source: object, mounts: object[] = [{ mountPath: '/v' }]) =>
    shellPod(name, script, { volumes: [source] } as object, {
      volumeMounts: mounts.map((mount) => ({ name: 'v', ...mount })),
    });

  test('is made where it shall be, is written and read by Pods one after another, and stays', async () => {
    const { client } = instance;
    const path = join(host, 'made/here');
    const mounts = [{ mountPath: '/v' }, { mountPath: '/part', subPath: 'a/b' }, { mountPath: '/ro', readOnly: true }];
    const first = 'echo one > /v/file; chown 7:8 /v/file; echo two > /part/deep; touch /ro/no || echo refused';
    await createPod(client, pod('first', first, volume(path, 'DirectoryOrCreate'), mounts));
    await phaseIs(client, 'first', 'Succeeded');
    assert.match((await instance.sampan(['logs', 'first'])).stdout, /refused/);
    const file = await stat(join(path, 'file'));
    assert.deepEqual([file.uid, file.gid], [7, 8]);
    assert.equal(await readFile(join(path, 'a/b/deep'), 'utf8'), 'two\n');
    await deletePod(client, 'first');
    await createPod(client, pod('second', 'cat /v', volume(join(path, 'file'), 'File')));
    await phaseIs(client, 'second', 'Succeeded');
    assert.equal((await instance.sampan(['logs', 'second'])).stdout, 'one\n');
    await deletePod(client, 'second');
    assert.ok(existsSync(join(path, 'file')));
  });

  test('that is not what its type says keeps the Pod waiting, with kubelet’s event, until it is', async () => {
    const { client } = instance;
    const path = join(host, 'late');
    await createPod(client, pod('waits', 'cat /v/word', volume(path, 'Directory')));
    await until('the event', async () => {
      const { items } = await client.list<KubeObject & { reason?: string; message?: string }>(resources.events, {
        namespace: 'default',
      });
      const words = `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ${path} is not a directory`;
      return items.some(({ reason, message }) => reason === 'FailedMount' && message?.includes(words));
    });
    await mkdir(`${path}-new`);
    await writeFile(join(`${path}-new`, 'word'), 'came\n');
    await rename(`${path}-new`, path);
    await podWhere(client, 'waits', 'ended', ({ status }) => status?.phase === 'Succeeded');
    await deletePod(client, 'waits');
  });

  test('that is a socket or a device is had by a Pod on the same kernel, and one in a machine waits and says why', async () => {
    const { client } = instance;
    const socket = createServer().listen(join(host, 'socket'));
    await once(socket, 'listening');
    const cases = [
      ['socket', join(host, 'socket'), 'Socket', 'test -S /v'],
      ['device', '/dev/null', 'CharDevice', 'test -c /v && echo said >/v'],
    ] as const;
    try {
      for (const [name, path, type, script] of cases) {
        const onHost = pod(name, `${script} && echo had`, volume(path, type));
        onHost.spec!.runtimeClassName = 'namespace';
        await createPod(client, onHost);
        await createPod(client, pod(`${name}-vm`, 'true', volume(path, type)));
        await phaseIs(client, name, 'Succeeded');
        assert.equal((await instance.sampan(['logs', name])).stdout, 'had\n');
        await podWhere(client, `${name}-vm`, 'waits', ({ status }) => {
          const { reason, message = '' } = status?.containerStatuses?.[0]?.state?.waiting ?? {};
          return reason === 'CreateContainerError' && message.includes(`${path} is neither a directory nor a file`);
        });
        await deletePod(client, name);
        await deletePod(client, `${name}-vm`);
      }
    } finally {
      socket.close();
    }
  });

  test('is refused by name where it cannot be, and to tenants that are held to a level', async () => {
    const { client } = instance;
    const both = [{ mountPath: '/v', mountPropagation: 'Bidirectional' }];
    await assert.rejects(createPod(client, pod('refused', 'true', volume(host), both)), {
      message: /mountPropagation/,
    });
    const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
    await client.create(resources.namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'tenant', labels },
    } as KubeObject);
    await assert.rejects(createPod(client, pod('tenants', 'true', volume(host)), 'tenant'), {
      message: /violates PodSecurity "baseline:latest": hostPath volumes \(volume "v"\)/,
    });
  });
});
