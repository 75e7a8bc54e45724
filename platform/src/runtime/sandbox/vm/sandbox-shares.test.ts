import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestWorld } from '../../../../test/fixtures/runtime/test-world.ts';
import * as cri from '../../generated/cri.ts';

test('a directory of the host: in the share from the start where the Pod is annotated, in another machine where it is not', async () => {
  await using world = await TestWorld.create();
  const hostPath = join(world.directory, 'srv');
  await mkdir(hostPath);
  const mounts = [{ hostPath, containerPath: '/srv', readonly: true }];

  const annotated = await world.sandbox('web', { annotations: { 'sampan.dev/host-mounts': 'true' } });
  const first = world.machine();
  assert.deepEqual(first.spec.shares, [
    { tag: 'host', directory: join(world.directory, 'run', 'shares', annotated.slice(0, 24)), readOnly: true },
  ]);
  await world.container(annotated, ['sleep'], { mounts });
  const late = [{ ...mounts[0]!, readonly: false }];
  await world.container(annotated, ['sleep'], { metadata: { name: 'second' }, mounts: [...mounts, ...late] });
  assert.equal(world.machine(), first);
  assert.deepEqual(
    first.shareMounts.map((mount) => [mount.hostPath, mount.readOnly, mount.propagation]),
    [
      [hostPath, true, 'private'],
      [hostPath, false, 'private'],
    ],
  );
  await world.runtime.removePodSandbox({ podSandboxId: annotated });

  const plain = await world.sandbox('other');
  const before = world.machine();
  assert.equal(before.spec.shares, undefined);
  const id = await world.container(plain, ['sleep'], { mounts });
  await world.runtime.startContainer({ containerId: id });
  const after = world.machine();
  assert.notEqual(after, before);
  assert.equal(before.dead, true);
  assert.deepEqual(after.spec.nic, before.spec.nic);
  assert.equal(after.shareMounts.length, 1);
  assert.equal((await world.status(id)).state, cri.ContainerState.CONTAINER_RUNNING);
  await world.runtime.removePodSandbox({ podSandboxId: plain });

  const used = await world.sandbox('third');
  await world.container(used, ['sleep']);
  await assert.rejects(world.container(used, ['sleep'], { metadata: { name: 'second' }, mounts }), {
    reason: 'FailedPrecondition',
    message: /sampan.dev\/host-mounts: "true"/,
  });
  await assert.rejects(world.sandbox('fourth', { annotations: { 'sampan.dev/host-mounts': 'yes' } }), {
    reason: 'Invalid',
  });
  await world.runtime.removePodSandbox({ podSandboxId: used });
  assert.deepEqual(await world.traces(), []);
});
