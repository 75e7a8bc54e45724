import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../base/log.ts';
import type { Agent } from '../agent/agent.ts';
import type { BundleContext } from './bundle-context.ts';
import { carryInputTo } from './carry-input.ts';
import type { InputEnd } from './fifo-input.ts';
import { HeldStdio, nobodyKeeps } from './held-stdio.ts';

/** What the agent was told once the client's input has ended. */
async function toldAfter(input: Partial<InputEnd>, { closing = false, isOver = false } = {}): Promise<string[]> {
  const told: string[] = [];
  const agent = {
    writeStdin: async (_id: string, data: Uint8Array) => void told.push(Buffer.from(data).toString()),
    closeStdin: async () => void told.push('closed'),
    hangUp: async () => void told.push('hung up'),
  } as Partial<Agent> as Agent;
  const context = { closing: new AbortController(), options: { log: silentLogger } } as BundleContext;
  const ended = Promise.withResolvers<void>();
  const end: InputEnd = {
    async *chunks() {
      yield Buffer.from('typed');
      if (closing) context.closing.abort();
    },
    finish: async () => {},
    close: async () => {},
    ...input,
  };
  const held = new HeldStdio(nobodyKeeps, {});
  held.releaseAfter = (carried) => void carried.then(ended.resolve);
  carryInputTo(context, end, { id: 'c', agent: async () => agent, isOver: () => isOver, held, stdin: undefined });
  await ended.promise;
  return told;
}

test('a pipe that ends is closed inside, a terminal whose user went is hung up', async () => {
  assert.deepEqual(await toldAfter({}), ['typed', 'closed']);
  assert.deepEqual(await toldAfter({ isTerminal: true }), ['typed', 'hung up']);
});

test('who has ended, or goes on without us, is told nothing', async () => {
  for (const input of [{}, { isTerminal: true }]) {
    assert.deepEqual(await toldAfter(input, { isOver: true }), ['typed']);
    assert.deepEqual(await toldAfter(input, { closing: true }), ['typed']);
  }
});
