/** A system call filter that crun compiled once is taken as it is for the next container, by its first process and by those that come in later. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Agent } from '../../src/runtime/agent/agent.ts';
import { container, GuestLab, homely, missing, textOf } from './guest-lab.ts';

const without = (...names: string[]) => ({
  ...homely,
  linux: {
    seccomp: {
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
    },
  },
});
const noDirectories = without('mkdir', 'mkdirat');
const noModes = without('chmod', 'fchmod', 'fchmodat');
const script = 'mkdir /tmp/made; chmod 700 /tmp; grep Seccomp: /proc/self/status';
const ready = { ready: true };

describe('a filter that is known', { skip: missing() }, () => {
  let lab: GuestLab;
  let agent: Agent;
  before(async () => {
    lab = await GuestLab.open();
    agent = await lab.agent(await lab.machine('filter'));
  });
  after(() => lab?.close());

  const made = async (more: object, spec: object) => {
    const request = container(['/bin/sh', '-c', script], { ...ready, ...more }, spec);
    await agent.createContainer(request);
    await agent.awaitReady(request.id);
    return request.id;
  };

  test('is read while its container waits for the start, and is what the next container gets', async () => {
    const first = await made({}, noDirectories);
    const program = await agent.readFilter(first);
    assert.ok(program.length > 0 && program.length % 8 === 0, `${program.length} bytes`);
    await agent.startContainer(first);
    assert.match(await textOf(agent, first), /^mkdir: .*not permitted\nSeccomp:\t2\n$/);
    await assert.rejects(agent.readFilter(first), { reason: 'FailedPrecondition' });

    // Its own profile says otherwise: that its words are not compiled again shows in what is forbidden.
    const second = await made({ filter: Buffer.from(program).toString('base64') }, noModes);
    assert.deepEqual(Buffer.from(await agent.readFilter(second)), Buffer.from(program));
    await agent.startContainer(second);
    assert.match(await textOf(agent, second), /^mkdir: .*not permitted\nSeccomp:\t2\n$/);
    for (const id of [first, second]) await agent.removeContainer(id);
  });

  test('holds for processes that come in later', async () => {
    const first = await made({}, noDirectories);
    const filter = Buffer.from(await agent.readFilter(first)).toString('base64');
    const host = container(['/bin/sleep', '1000'], { ...ready, filter }, noModes);
    await agent.createContainer(host);
    await agent.startContainer(host.id);
    const session = await agent.exec({
      containerId: host.id,
      args: ['/bin/sh', '-c', `exec 2>&1; ${script}`],
      tty: false,
      stdin: false,
    });
    const output = Buffer.concat(await Array.fromAsync(session.stdout)).toString();
    assert.match(output, /^mkdir: .*not permitted\nSeccomp:\t2\n$/);
    for (const id of [first, host.id]) await agent.removeContainer(id);
  });

  test('is refused where there is nothing to filter; a container without one has none to read', async () => {
    const bare = container(['/bin/true'], { ...ready, filter: 'AAAA' });
    await assert.rejects(agent.createContainer(bare), { reason: 'BadRequest', message: /filter belongs to a spec/ });
    const id = await made({}, homely);
    assert.equal((await agent.readFilter(id)).length, 0);
    await agent.removeContainer(id);
  });
});
