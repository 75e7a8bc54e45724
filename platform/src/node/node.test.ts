import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { createNodeLab } from '../../test/fixtures/node/node-lab.ts';

describe('a node over a runtime without machines', () => {
  test('runs a bound Pod to its end and lets its machine go', async () => {
    await using lab = await createNodeLab({ script: () => ({ afterMs: 5000, output: 'hello' }) });
    await lab.run('once', { restartPolicy: 'Never' });
    const running = await lab.until('once', (pod) => pod?.status?.phase === 'Running');
    assert.equal(running?.status?.podIP, '10.0.0.1');
    assert.ok(lab.status(running).ready);
    const ended = await lab.until('once', (pod) => pod?.status?.phase === 'Succeeded');
    assert.equal(lab.status(ended).state?.terminated?.reason, 'Completed');
    await lab.settle(1000);
    assert.ok(lab.runtime.calls.some((call) => call.startsWith('stopPodSandbox')));
    assert.deepEqual(lab.runtime.faults, []);
  });

  test('brings a deleted Pod to its end, then removes its object and all that is left of it', async () => {
    await using lab = await createNodeLab();
    await lab.run('served');
    await lab.until('served', (pod) => pod?.status?.phase === 'Running');
    await lab.client.delete(resources.pods, 'served', { namespace: 'default' });
    await lab.until('served', (pod) => pod === undefined);
    assert.equal(lab.runtime.containers.size, 0);
    assert.equal(lab.runtime.sandboxes.size, 0);
  });
});
