import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { createNodeLab, type NodeLab } from '../../test/fixtures/node/node-lab.ts';

/** More than any scenario makes. */
const mostCalls = 60;
const image = 'web:1';

function startsOf(lab: NodeLab, name: string): number {
  return lab.runtime.calls.filter((call) => call === `startContainer ${name}`).length;
}

async function batch(call: number, when: 'before' | 'after'): Promise<boolean> {
  await using lab = await createNodeLab({
    script: ({ container, attempt }) => {
      if (container === 'prepare') return { afterMs: 700 };
      if (container === 'proxy') return {};
      return { afterMs: 900, exitCode: attempt === 0 ? 1 : 0 };
    },
  });
  const fate = lab.killAt(call, when);
  await lab.run('job', {
    restartPolicy: 'OnFailure',
    initContainers: [
      { name: 'proxy', image, restartPolicy: 'Always' },
      { name: 'prepare', image },
    ],
  });
  const where = `killed ${when} call ${call}`;
  const pod = await lab.until('job', (one) => one?.status?.phase === 'Succeeded', 120_000);
  assert.deepEqual(lab.runtime.faults, [], where);
  assert.equal(lab.status(pod).restartCount, 1, where);
  assert.equal(startsOf(lab, 'prepare'), 1, where);
  assert.equal(startsOf(lab, 'web'), 2, where);
  await lab.wait(`the machine is let go (${where})`, () => lab.runtime.running().length === 0);
  await remove(lab, where);
  return fate.killed();
}

async function deletion(call: number, when: 'before' | 'after'): Promise<boolean> {
  await using lab = await createNodeLab();
  await lab.run('job', {
    containers: [{ name: 'web', image, lifecycle: { preStop: { exec: { command: ['bye'] } } } }],
    volumes: [{ name: 'space', emptyDir: {} }],
  });
  await lab.until('job', (pod) => pod?.status?.phase === 'Running');
  const fate = lab.killAt(call, when);
  await remove(lab, `killed ${when} call ${call}`);
  return fate.killed();
}

/** Nothing of the Pod is left anywhere. */
async function remove(lab: NodeLab, where: string): Promise<void> {
  await lab.client.delete(resources.pods, 'job', { namespace: 'default' });
  await lab.until('job', (pod) => pod === undefined, 200_000);
  await lab.wait(
    `nothing is left (${where})`,
    () => lab.runtime.sandboxes.size === 0 && files(lab).length === 0,
    60_000,
  );
  assert.equal(lab.runtime.containers.size, 0, where);
}

function files(lab: NodeLab): string[] {
  return ['pods', 'pod-logs']
    .map((name) => join(lab.home, name))
    .flatMap((directory) => (existsSync(directory) ? readdirSync(directory) : []));
}

describe('a server that is killed', () => {
  for (const [name, scenario] of Object.entries({ 'a batch Pod': batch, 'the end of a deleted Pod': deletion }))
    for (const when of ['before', 'after'] as const)
      test(`${when} any one call of ${name} finishes it when it comes again`, async () => {
        let calls = 0;
        while (calls < mostCalls && (await scenario(calls, when))) calls++;
        assert.ok(calls > 5 && calls < mostCalls, `${calls} calls were hit`);
      });
});
