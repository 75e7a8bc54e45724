/** What a Pod's securityContext names on its node, through the API: seccomp profiles, strict groups; and directories of the host that nobody may write to. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { command } from './support/command.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { containerStatus, createPod, deletePod, phaseIs, podWhere, shellPod } from './support/pods.ts';

describe('what a Pod names on its node', () => {
  let instance: TestInstance;
  let directory: string;
  before(async () => {
    instance = await startInstance('profiles');
    await loadDemoImage(instance);
    directory = await mkdtemp('/var/tmp/sampan-profiles-');
  });
  after(async () => {
    await instance?.stop();
    if (!directory) return;
    await command('umount', ['-l', join(directory, 'inner')]).catch(() => {});
    await rm(directory, { recursive: true, force: true });
  });

  const log = async (name: string) => (await instance.sampan(['logs', name])).stdout;
  const profiled = (localhostProfile: string) => ({ seccompProfile: { type: 'Localhost', localhostProfile } });

  test('a seccomp profile is a file below the node’s directory of profiles', async () => {
    await mkdir(join(instance.home, 'seccomp/strict'), { recursive: true });
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }],
    };
    await writeFile(join(instance.home, 'seccomp/strict/no-mkdir.json'), JSON.stringify(profile));
    const script = 'mkdir /tmp/x && echo made || echo refused';
    await createPod(
      instance.client,
      shellPod('profiled', script, { securityContext: profiled('strict/no-mkdir.json') }),
    );
    await phaseIs(instance.client, 'profiled', 'Succeeded');
    assert.match(await log('profiled'), /^(mkdir: .*\n)?refused\n$/);
  });

  test('a profile that is not there keeps the container from being made, and one elsewhere the Pod', async () => {
    await createPod(instance.client, shellPod('missing', 'true', {}, { securityContext: profiled('none.json') }));
    const pod = await podWhere(
      instance.client,
      'missing',
      'waiting',
      (one) => containerStatus(one).state?.waiting?.reason === 'CreateContainerError',
    );
    assert.match(
      containerStatus(pod).state!.waiting!.message!,
      /seccomp profile .*\/seccomp\/none\.json cannot be read/,
    );
    await deletePod(instance.client, 'missing');
    for (const outside of ['/etc/passwd', '../server.key'])
      await assert.rejects(
        createPod(instance.client, shellPod('outside', 'true', { securityContext: profiled(outside) })),
        (error) => isReason(error, 'Invalid') && /localhostProfile/.test(error.message),
      );
  });

  test('strict groups are those it asked for, and its status says whom it runs as', async () => {
    const securityContext = {
      runAsUser: 1000,
      runAsGroup: 3000,
      supplementalGroups: [7],
      supplementalGroupsPolicy: 'Strict',
    };
    await createPod(instance.client, shellPod('strict', 'id -G', { securityContext }));
    const pod = await phaseIs(instance.client, 'strict', 'Succeeded');
    const { user } = containerStatus(pod) as { user?: { linux: object } };
    assert.deepEqual(user?.linux, { uid: 1000, gid: 3000, supplementalGroups: [7, 3000] });
    assert.deepEqual((await log('strict')).trim().split(' ').sort(), ['3000', '7']);
  });

  test('a recursively read-only directory of the host is so with what is mounted below', async () => {
    await mkdir(join(directory, 'inner'));
    await command('mount', ['-t', 'tmpfs', 'inner', join(directory, 'inner')]);
    const volumes = [{ name: 'host', hostPath: { path: directory } }];
    const mount = { name: 'host', readOnly: true };
    const volumeMounts = [
      { ...mount, mountPath: '/top' },
      { ...mount, mountPath: '/all', recursiveReadOnly: 'Enabled' },
    ];
    const script = 'for d in /top /top/inner /all /all/inner; do touch $d/f 2>/dev/null && echo $d; done; true';
    await createPod(instance.client, shellPod('readonly', script, { volumes }, { volumeMounts }));
    await phaseIs(instance.client, 'readonly', 'Succeeded');
    assert.equal(await log('readonly'), '/top/inner\n');
  });
});
