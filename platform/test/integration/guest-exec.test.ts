/** Exec without crun is exec as crun does it: every property of the process, and every refusal, beside crun's own. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Agent } from '../../src/runtime/agent/agent.ts';
import { container, GuestLab, homely, missing, start } from './guest-lab.ts';

/** A field that the agent does not know, and crun passes over: crun has to do it. */
const throughCrun = { somethingNew: true };

/** Everything a process can tell of itself. What differs from run to run is left out or made relative. */
const probe = `
cd_now=$(pwd); echo "cwd $cd_now"; umask; id
grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Seccomp_filters|SigBlk|SigIgn|SigCgt|NSpid|Speculation_Store_Bypass|Cpus_allowed_list):*' /proc/$$/status | grep -v NSpid
while read limit; do echo "$limit"; done < /proc/self/limits
cat /proc/self/cgroup
for kind in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$kind; done
set -- $(cat /proc/$$/stat); echo "terminal $7 parent $4"
for fd in /proc/$$/fd/*; do case $(readlink $fd) in pipe*) echo "$fd pipe" ;; /*/sh|/proc/*) ;; *) readlink $fd ;; esac; done | sed s,/proc/[0-9]*,,
ls -ln /proc/$$/fd/1 | while read a b c d e; do echo "stdout of $c $d"; done
echo again > /dev/stdout; env; echo to stderr >&2; cat`;

const capabilities = (...names: string[]) =>
  Object.fromEntries(['bounding', 'effective', 'permitted'].map((set) => [set, names]));
const user = { uid: 33, gid: 44, additionalGids: [44, 50, 77] };
const many = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_RAW', 'CAP_SYS_CHROOT'];
const ambient = { ...capabilities('CAP_KILL'), inheritable: ['CAP_KILL'], ambient: ['CAP_KILL'] };
const seccomp = {
  defaultAction: 'SCMP_ACT_ALLOW',
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
};

/** By name: fields of `process`, and of the container's spec. */
const processes: Record<string, { process: object; spec?: object }> = {
  'root with nothing said': { process: {} },
  'root with capabilities': { process: { capabilities: capabilities(...many) } },
  'a user with groups and a mask': { process: { user: { ...user, umask: 0o077 }, cwd: '/tmp' } },
  'a user with capabilities': { process: { user, capabilities: capabilities(...many) } },
  'a user with ambient capabilities': { process: { user, capabilities: ambient } },
  'no new privileges': { process: { user, noNewPrivileges: true, capabilities: capabilities(...many) } },
  'a filter of system calls': { process: { capabilities: capabilities(...many) }, spec: { linux: { seccomp } } },
  'a filter under no new privileges': { process: { noNewPrivileges: true, user }, spec: { linux: { seccomp } } },
  limits: {
    process: {
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
        { type: 'RLIMIT_NPROC', soft: 500, hard: 500 },
      ],
    },
  },
  'an environment with doubles': { process: { env: ['PATH=/bin', 'A=1', 'B=2', 'A=3', 'TAKEN', 'C='] } },
  'an environment of its own, without a home': { process: { user, env: ['PATH=/bin:/nowhere', 'X=y z'] } },
};

const refusals: Record<string, object> = {
  'a program that is nowhere on the path': { args: ['nosuchprogram'] },
  'a program that is not where it is said to be': { args: ['/bin/nosuchprogram'] },
  'a file that is no program': { args: ['/etc/passwd'] },
  'a directory that is not there': { args: ['/bin/true'], cwd: '/nosuch/place' },
};

describe('exec', { skip: missing() }, () => {
  let lab: GuestLab;
  let agent: Agent;
  before(async () => {
    lab = await GuestLab.open();
    agent = await lab.agent(await lab.machine('exec'));
  });
  after(() => lab?.close());

  const host = (spec: object = {}) => start(agent, container(['/bin/sleep', '100000'], {}, spec));

  /** stdout, stderr and the exit code of a process described whole. */
  async function outcome(containerId: string, process: object, input = '') {
    const session = await agent.exec({ containerId, args: [], process, tty: false, stdin: input !== '' });
    if (input) {
      const writer = session.stdin.getWriter();
      await writer.write(Buffer.from(input));
      await writer.close();
    }
    const read = async (stream: ReadableStream<Uint8Array>) => Buffer.concat(await Array.fromAsync(stream)).toString();
    const [stdout, stderr] = await Promise.all([read(session.stdout), read(session.stderr)]);
    return { stdout, stderr, ...(await session.exited) };
  }

  for (const [name, { process, spec }] of Object.entries(processes))
    test(`${name}: as crun does it`, async () => {
      const containerId = await host({ mounts: homely.mounts, ...spec });
      const wanted = {
        args: ['/bin/sh', '-c', `${probe}; mkdir /tmp/made && rm -r /tmp/made; exit 7`],
        cwd: '/',
        env: ['PATH=/bin', 'LANG=C'],
        ...process,
      };
      const ours = await outcome(containerId, wanted, 'what is sent in');
      const theirs = await outcome(containerId, { ...wanted, ...throughCrun }, 'what is sent in');
      assert.deepEqual({ ...ours, stdout: ours.stdout.split('\n') }, { ...theirs, stdout: theirs.stdout.split('\n') });
      assert.match(ours.stdout, /again[\s\S]*what is sent in/);
      assert.match(ours.stderr, /to stderr/);
      assert.equal(ours.exitCode, 7);
      await agent.removeContainer(containerId);
    });

  for (const [name, process] of Object.entries(refusals))
    test(`${name} is refused in crun's words`, async () => {
      const containerId = await host();
      const wanted = { cwd: '/', env: ['PATH=/bin'], ...process };
      const words = async (more: object) => {
        const error = await outcome(containerId, { ...wanted, ...more }).then(
          () => assert.fail('it was not refused'),
          (error: Error) => error,
        );
        return error.message;
      };
      assert.equal(await words({}), await words(throughCrun));
      await agent.removeContainer(containerId);
    });

  test('an exec leads a session of its own, as with runc: killing it takes along what it started', async () => {
    const containerId = await host();
    const stat = await outcome(containerId, { args: ['/bin/cat', '/proc/self/stat'], cwd: '/', env: [] });
    const fields = stat.stdout.split(' ');
    assert.deepEqual([fields[4], fields[5]], [fields[0], fields[0]]);
    const args = ['/bin/sh', '-c', 'sleep 99999 & sleep 99999; exit'];
    const session = await agent.exec({ containerId, args, tty: false, stdin: false });
    while ((await agent.processes(containerId)).length < 4);
    session.kill();
    await session.exited;
    while ((await agent.processes(containerId)).length > 1);
    await agent.removeContainer(containerId);
  });

  test('an exec gets the score for the OOM killer that its process asks for: it came in by itself', async () => {
    const containerId = await host();
    const process = { args: ['/bin/cat', '/proc/self/oom_score_adj'], cwd: '/', env: [], oomScoreAdj: 321 };
    assert.equal((await outcome(containerId, process)).stdout, '321\n');
    await agent.removeContainer(containerId);
  });

  test('an exec in a frozen container is refused, and one that is killed on its way leaves nothing', async () => {
    const containerId = await host();
    await agent.freeze(containerId, true);
    const process = { args: ['/bin/true'], cwd: '/', env: [] };
    await assert.rejects(outcome(containerId, process), /is paused/);
    await agent.freeze(containerId, false);
    const sessions = await Promise.all(
      Array.from({ length: 20 }, () =>
        agent.exec({ containerId, args: ['/bin/sleep', '100000'], tty: false, stdin: false }),
      ),
    );
    for (const session of sessions) session.kill();
    await Promise.all(sessions.map((session) => session.exited));
    while ((await agent.processes(containerId)).length > 1);
    await agent.removeContainer(containerId);
  });

  test('an exec finds a container whose control group has groups of its own', async () => {
    const cgroups = { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['rw'] };
    const containerId = await host({ mounts: [...homely.mounts, cgroups] });
    const shell = (script: string) =>
      outcome(containerId, { args: ['/bin/sh', '-c', script], cwd: '/', env: ['PATH=/bin'] });
    const nested =
      'cd /sys/fs/cgroup && mkdir inner && echo 1 > inner/cgroup.procs && echo $$ > inner/cgroup.procs && echo +pids > cgroup.subtree_control && echo done';
    assert.equal((await shell(nested)).stdout, 'done\n');
    assert.equal((await shell('echo here')).stdout, 'here\n');
    await agent.removeContainer(containerId);
  });
});
