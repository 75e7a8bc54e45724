import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Agent, CreateContainer, GuestContainerStatus, SandboxSetup } from './agent/agent.ts';
import { createRehearsal } from './rehearsal.ts';

/** An agent that does as it is told and notes it. */
function scriptedAgent(exitCode: number) {
  const calls: string[] = [];
  const seen: { setup?: SandboxSetup; container?: CreateContainer } = {};
  const status = { id: 'rehearsal', state: 'exited', pid: 0, startedAtUnixNanos: 0n, exit: { exitCode, message: '' } };
  const agent: Partial<Agent> = {
    setup: async (setup) => {
      calls.push('setup');
      seen.setup = setup;
    },
    bindDisk: async (slot) => void calls.push(`bindDisk ${slot}`),
    createContainer: async (request) => {
      calls.push('createContainer');
      seen.container = request;
      return {};
    },
    startContainer: async () => {
      calls.push('startContainer');
      return { startedAtUnixNanos: 0n };
    },
    async *output() {
      yield { stream: 'stdout' as const, offset: 0n, timeUnixNanos: 0n, data: Buffer.from('crun version') };
    },
    acknowledge: (_, { stdout }) => void calls.push(`acknowledge ${stdout}`),
    listContainers: async () => [status as unknown as GuestContainerStatus],
    removeContainer: async () => void calls.push('removeContainer'),
    forget: async () => void calls.push('forget'),
    close: async () => void calls.push('close'),
  };
  return { agent: agent as Agent, calls, seen };
}

async function withRehearsal(agent: Agent, body: (rehearsal: ReturnType<typeof createRehearsal>) => Promise<void>) {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-rehearsal-'));
  try {
    await body(createRehearsal({ connectAgent: async () => agent, directory, rootfsPath: '/guest/rootfs.erofs' }));
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('a rehearsal goes through a whole start and ends with nothing left', async () => {
  const { agent, calls, seen } = scriptedAgent(0);
  await withRehearsal(agent, (rehearsal) => rehearsal.run('/channel'));
  assert.deepEqual(calls, [
    'setup',
    'bindDisk image0',
    'createContainer',
    'startContainer',
    'acknowledge 12',
    'removeContainer',
    'forget',
    'close',
  ]);
  assert.equal(Buffer.from(seen.setup!.entropy, 'base64').length, 64, 're-seeded before anything else');
  assert.deepEqual(seen.setup!.disks, ['scratch']);
  assert.equal(seen.container!.imageSlot, 'image0');
});

test('two rehearsals do not share their entropy', async () => {
  const [one, two] = [scriptedAgent(0), scriptedAgent(0)];
  for (const { agent } of [one, two]) await withRehearsal(agent, (rehearsal) => rehearsal.run('/channel'));
  assert.notEqual(one.seen.setup!.entropy, two.seen.setup!.entropy);
});

test('a rehearsal whose container fails is an error, and the connection is closed', async () => {
  const { agent, calls } = scriptedAgent(3);
  await withRehearsal(agent, (rehearsal) => assert.rejects(rehearsal.run('/channel'), /container failed: 3/));
  assert.equal(calls.at(-1), 'close');
  assert.ok(!calls.includes('forget'));
});

test('an agent that cannot forget is not made to rehearse', async () => {
  const { agent, calls } = scriptedAgent(0);
  delete (agent as Partial<Agent>).forget;
  await withRehearsal(agent, (rehearsal) => assert.rejects(rehearsal.run('/channel'), /forget/));
  assert.deepEqual(calls, ['close']);
});

test('the disks are there until they are released', async () => {
  await withRehearsal(scriptedAgent(0).agent, async (rehearsal) => {
    const [scratch, image] = await rehearsal.disks('pool-1');
    assert.deepEqual(image, { slot: 'image0', path: '/guest/rootfs.erofs', readOnly: true });
    assert.equal(scratch!.slot, 'scratch');
    assert.ok((await stat(scratch!.path)).size > 0);
    await rehearsal.release('pool-1');
    await rehearsal.release('pool-1');
    assert.equal(existsSync(scratch!.path), false);
  });
});
