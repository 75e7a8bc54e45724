/**
 * What a container may do, as CRI's fields say it, under both handlers: seccomp profiles, groups, read-only and shared mounts, devices, namespaces of the
 * host. critest asks for most of these too; here stands what it leaves out, and what must not be had.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import * as cri from '../../src/runtime/generated/cri.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { command } from './support/command.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';

const { POD, NODE } = cri.NamespaceMode;

describe('what a container may do', { skip: missingForCri() }, () => {
  let lab: CriLab;
  let registry: Registry;
  let image: string;
  let directory: string;
  /** By handler. */
  const sandboxes = new Map<string, string>();
  let count = 0;

  before(async () => {
    registry = await startRegistry({});
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('cri-security');
    await lab.client.pullImage({ image: { image } });
    directory = await mkdtemp('/var/tmp/sampan-cri-security-');
    for (const runtimeHandler of ['vm', 'namespace']) {
      const annotations = { 'sampan.dev/host-mounts': 'true' };
      const config = lab.sandboxConfig(`security-${runtimeHandler}`, { annotations });
      sandboxes.set(runtimeHandler, (await lab.client.runPodSandbox({ config, runtimeHandler })).podSandboxId!);
    }
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
    await registry?.stop();
    if (!directory) return;
    for (const place of ['shared/in/host', 'shared/in', 'shared', 'below/inner'])
      await command('umount', ['-l', join(directory, place)]).catch(() => {});
    await rm(directory, { recursive: true, force: true });
  });

  type Options = { security?: cri.LinuxContainerSecurityContext } & Omit<cri.ContainerConfig, 'image'>;
  const start = (handler: string, { security, linux, ...more }: Options) =>
    lab.container(sandboxes.get(handler)!, `c${count++}`, {
      image,
      script: 'sleep 1000',
      linux: { ...linux, securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER }, ...security } },
      ...more,
    });
  const sh = async (containerId: string, script: string) => {
    const answer = await lab.client.execSync({ containerId, cmd: ['sh', '-c', script], timeout: 20n });
    return `${answer.stdout ?? ''}${answer.stderr ?? ''}`.trim();
  };
  const fails = (call: Promise<unknown>, code: status, message: RegExp) =>
    assert.rejects(call, (error: { code: number; details: string }) => {
      assert.deepEqual([error.code, message.test(error.details) ? message : error.details], [code, message]);
      return true;
    });

  for (const handler of ['vm', 'namespace']) {
    describe(`under ${handler}`, () => {
      it('is what its seccomp profile leaves it: a file of the host, in the form that Docker’s are', async () => {
        const path = join(directory, 'profile.json');
        const rules = [
          { names: ['chmod', 'fchmodat', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 },
          { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_CHOWN'] } },
        ];
        await writeFile(path, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: rules }));
        const seccomp = { profileType: cri.SecurityProfile_ProfileType.Localhost, localhostRef: path };
        const id = await start(handler, { security: { seccomp } });
        assert.match(await sh(id, 'mkdir /tmp/a && touch /tmp/a/b && chmod 600 /tmp/a/b'), /not supported/);
        const strict = await start(handler, { security: { seccomp, capabilities: { dropCapabilities: ['CHOWN'] } } });
        assert.match(await sh(strict, 'mkdir /tmp/a'), /not permitted/);
        const refused = { ...seccomp, localhostRef: join(directory, 'none.json') };
        await fails(start(handler, { security: { seccomp: refused } }), status.NOT_FOUND, /none\.json/);
      });

      it('has the groups that the image says its user is in, unless they are strict; and CRI tells them', async () => {
        const groupsOf = async (security: cri.LinuxContainerSecurityContext) => {
          const id = await start(handler, {
            security: { runAsUser: { value: 1000n }, supplementalGroups: [7n], ...security },
          });
          const { status: told } = await lab.client.containerStatus({ containerId: id });
          const groups = await sh(id, 'id -G | tr " " "\\n" | sort -n | uniq | tr "\\n" " "');
          assert.equal(told?.user?.linux?.supplementalGroups?.join(' '), groups);
          return [told?.user?.linux?.uid, told?.user?.linux?.gid, groups];
        };
        assert.deepEqual(await groupsOf({}), [1000n, 1000n, '7 1000 1500']);
        assert.deepEqual(await groupsOf({ runAsGroup: { value: 3000n } }), [1000n, 3000n, '7 1500 3000']);
        const supplementalGroupsPolicy = cri.SupplementalGroupsPolicy.Strict;
        assert.deepEqual(await groupsOf({ supplementalGroupsPolicy }), [1000n, 1000n, '7 1000']);
      });

      it('writes below a read-only directory only where something else is mounted, and nowhere when it is so recursively', async () => {
        const hostPath = join(directory, 'below');
        await mkdir(join(hostPath, 'inner'), { recursive: true });
        if (handler === 'vm') await command('mount', ['-t', 'tmpfs', 'inner', join(hostPath, 'inner')]);
        const mount = { hostPath, readonly: true };
        const id = await start(handler, {
          mounts: [
            { ...mount, containerPath: '/top' },
            { ...mount, containerPath: '/all', recursiveReadOnly: true },
          ],
          security: { capabilities: { addCapabilities: ['SYS_ADMIN'] } },
        });
        const touch = (path: string) => sh(id, `touch ${path}/file-${handler} 2>&1 && echo written`);
        assert.match(await touch('/top'), /Read-only/);
        assert.equal(await touch('/top/inner'), 'written');
        assert.match(await touch('/all'), /Read-only/);
        assert.match(await touch('/all/inner'), /Read-only/);
        if (handler === 'vm') {
          // Whatever the guest does with its own mount.
          await sh(id, 'mount -o remount,rw,bind /all; mount -o remount,rw,bind /all/inner');
          assert.match(await touch('/all/inner'), /Read-only/);
        }
        const wrong = { ...mount, containerPath: '/x', recursiveReadOnly: true };
        for (const change of [{ readonly: false }, { propagation: cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER }])
          await fails(
            start(handler, { mounts: [{ ...wrong, ...change }] }),
            status.INVALID_ARGUMENT,
            /recursiveReadOnly/,
          );
      });

      it('may make bridges, pairs and taps in its Pod’s network when it administers it', async () => {
        const security = { capabilities: { addCapabilities: ['NET_ADMIN'] } };
        const id = await start(handler, { security });
        assert.equal(
          await sh(
            id,
            'ip link add br9 type bridge && ip link add v0 type veth peer name v1 && ip -o link | grep -c -E "br9|v0@|@v0"',
          ),
          '3',
        );
        const plain = await start(handler, {});
        assert.match(await sh(plain, 'ip link add br8 type bridge'), /not permitted/);
      });

      it('has a score that the kernel kills by, and the masks that CRI names', async () => {
        const id = await start(handler, {
          linux: { resources: { oomScoreAdj: 555n } },
          security: { maskedPaths: ['/proc/uptime'], readonlyPaths: ['/proc/self/comm'] },
        });
        assert.equal(await sh(id, 'cat /proc/1/oom_score_adj; wc -c </proc/uptime'), '555\n0');
      });

      it('keeps its image: who would remove it is told who uses it', async () => {
        await start(handler, {});
        const users = new RegExp(`in use by .*${sandboxes.get(handler)}`);
        await fails(lab.client.removeImage({ image: { image } }), status.FAILED_PRECONDITION, users);
        assert.deepEqual((await lab.client.listImages({})).images?.[0]?.repoTags, [image]);
        await start(handler, {});
      });

      it('has no user namespace of its own, and says so by name', async () => {
        const usernsOptions = { mode: POD, uids: [{ containerId: 0, hostId: 1000, length: 65536 }] };
        const config = lab.sandboxConfig('users', {
          linux: { securityContext: { namespaceOptions: { usernsOptions } } },
        });
        await fails(lab.client.runPodSandbox({ config, runtimeHandler: handler }), status.UNIMPLEMENTED, /hostUsers/);
      });
    });
  }

  it('of a VM: what is the host’s own is refused by name', async () => {
    const refused: [Options, RegExp][] = [
      [{ devices: [{ hostPath: '/dev/null', containerPath: '/dev/n' }] }, /device \/dev\/null/],
      [{ linux: { resources: { cpusetCpus: '0' } } }, /cpusetCpus/],
      [
        {
          mounts: [
            { hostPath: directory, containerPath: '/d', propagation: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL },
          ],
        },
        /Bidirectional/,
      ],
    ];
    for (const [options, message] of refused) await fails(start('vm', options), status.UNIMPLEMENTED, message);
    for (const [kind, name] of [
      ['network', 'hostNetwork'],
      ['pid', 'hostPID'],
      ['ipc', 'hostIPC'],
    ]) {
      const namespaceOptions = { [kind!]: NODE };
      const config = lab.sandboxConfig('host', { linux: { securityContext: { namespaceOptions } } });
      await fails(lab.client.runPodSandbox({ config }), status.UNIMPLEMENTED, new RegExp(name!));
    }
  });

  it('of a VM: its own devices work, the kernel’s drivers come when a container asks', async () => {
    const devices = ['/dev/fuse', '/dev/net/tun'].map((path) => ({
      hostPath: path,
      containerPath: path,
      permissions: 'rw',
    }));
    const id = await start('vm', { devices });
    assert.equal(await sh(id, 'exec 3<>/dev/fuse && exec 4<>/dev/net/tun && echo open'), 'open');
  });

  it('on the host: mounts go both ways where they are asked to, and stay when the container is gone', async () => {
    const hostPath = join(directory, 'shared');
    await mkdir(hostPath);
    const mount = { hostPath, containerPath: '/shared', propagation: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL };
    const security = { privileged: true };
    await command('mount', ['--bind', hostPath, hostPath]);
    await command('mount', ['--make-private', hostPath]);
    await fails(start('namespace', { mounts: [mount], security }), status.FAILED_PRECONDITION, /not a shared mount/);
    await command('mount', ['--make-shared', hostPath]);
    const id = await start('namespace', { mounts: [mount], security });
    await sh(
      id,
      'mkdir /shared/in && mount -t tmpfs in /shared/in && mkdir /shared/in/host && echo said >/shared/in/word',
    );
    assert.equal(await readFile(join(hostPath, 'in/word'), 'utf8'), 'said\n');
    await command('mount', ['-t', 'tmpfs', 'host', join(hostPath, 'in/host')]);
    await writeFile(join(hostPath, 'in/host/answer'), 'heard\n');
    assert.equal(await sh(id, 'cat /shared/in/host/answer'), 'heard');
    await lab.client.removeContainer({ containerId: id });
    assert.equal(await readFile(join(hostPath, 'in/host/answer'), 'utf8'), 'heard\n');
    await lab.client.removePodSandbox({ podSandboxId: sandboxes.get('namespace') });
    assert.equal(await readFile(join(hostPath, 'in/host/answer'), 'utf8'), 'heard\n');
    const config = lab.sandboxConfig('security-again');
    const { podSandboxId } = await lab.client.runPodSandbox({ config, runtimeHandler: 'namespace' });
    sandboxes.set('namespace', podSandboxId!);
  });

  it('on the host: the host’s devices and CPUs are those that were asked for', async () => {
    const id = await start('namespace', {
      devices: [{ hostPath: '/dev/loop-control', containerPath: '/dev/mine', permissions: 'r' }],
      linux: { resources: { cpusetCpus: '0', cpusetMems: '0' } },
    });
    assert.equal(await sh(id, 'exec 3</dev/mine && echo open'), 'open');
    assert.match(await sh(id, 'exec 3<>/dev/mine'), /not permitted/);
    assert.equal(await sh(id, 'grep Cpus_allowed_list /proc/self/status | tr -d "\\t"'), 'Cpus_allowed_list:0');
    await lab.client.updateContainerResources({ containerId: id, linux: { cpusetCpus: '1' } });
    assert.equal(await sh(id, 'grep Cpus_allowed_list /proc/1/status | tr -d "\\t"'), 'Cpus_allowed_list:1');
  });

  it('on the host: it is in the host’s namespaces when its Pod asks, and its sysctls are then the host’s to keep', async () => {
    const namespaceOptions = { network: NODE, pid: NODE, ipc: NODE };
    const linux = { securityContext: { namespaceOptions } };
    const config = lab.sandboxConfig('host', { linux });
    const { podSandboxId } = await lab.client.runPodSandbox({ config, runtimeHandler: 'namespace' });
    const id = await lab.container(podSandboxId!, 'host', { image, script: 'sleep 1000', linux });
    for (const kind of ['net', 'pid', 'ipc'])
      assert.equal(await sh(id, `readlink /proc/self/ns/${kind}`), await readlink(`/proc/self/ns/${kind}`), kind);
    await lab.client.removePodSandbox({ podSandboxId });
    for (const name of ['net.core.somaxconn', 'kernel.sem', 'vm.swappiness']) {
      const asking = { ...config, linux: { ...linux, sysctls: { [name]: '1' } } };
      await fails(
        lab.client.runPodSandbox({ config: asking, runtimeHandler: 'namespace' }),
        status.UNIMPLEMENTED,
        new RegExp(`sysctl ${name}`),
      );
    }
    assert.ok(existsSync('/dev/shm'));
  });
});
