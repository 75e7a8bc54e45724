import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentSuite } from './agent-suite.ts';
import { FakeAgents, FakeGuest } from './fake-agent.ts';

const guest = new FakeGuest();
agentSuite({ name: 'the fake agent', connect: async () => guest.connect() });

test('a guest that dies ends every connection, and nobody connects again', async () => {
  const agents = new FakeAgents();
  const options = { channelPath: '/x', sandboxId: 'x', timeoutMs: 10, adopted: false };
  const agent = await agents.connect(options);
  agents.guest('/x').die();
  const events = await Array.fromAsync(agent.events(new AbortController().signal));
  assert.deepEqual(
    events.map((event) => event.type),
    ['closed'],
  );
  await assert.rejects(agents.connect(options), /did not answer/);
});
