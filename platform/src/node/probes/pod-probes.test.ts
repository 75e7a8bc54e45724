import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { createNodeLab, type NodeLab } from '../../../test/fixtures/node/node-lab.ts';

const probe = { exec: { command: ['check'] }, periodSeconds: 5 };
const web = (more: Partial<Container>): Container => ({ name: 'web', image: 'web:1', ...more });
const isRunning = (lab: NodeLab) => (pod: Pod | undefined) => !!lab.status(pod)?.state?.running;

describe('probes of a Pod', () => {
  test('readiness: ready when it passes, not ready after it failed three times', async () => {
    let passes = false;
    await using lab = await createNodeLab({ exec: async () => ({ exitCode: passes ? 0 : 1, stdout: 'not yet' }) });
    await lab.run('served', { containers: [web({ readinessProbe: { ...probe, failureThreshold: 3 } })] });
    const running = await lab.until('served', isRunning(lab));
    assert.equal(lab.status(running).ready, false);
    passes = true;
    await lab.until('served', (pod) => lab.status(pod).ready, 6000);
    passes = false;
    await lab.settle(9000);
    assert.equal(lab.status(await lab.pod('served')).ready, true, 'two failures are not three');
    const unready = await lab.until('served', (pod) => !lab.status(pod).ready, 10_000);
    assert.ok(lab.status(unready).state?.running, 'it is not restarted');
    const event = (await lab.events('served')).find(({ reason }) => reason === 'Unhealthy');
    assert.equal(event?.message, 'Readiness probe failed: not yet');
    assert.ok((event?.count ?? 0) > 1, 'told once, counted');
  });

  test('liveness: a container that fails is restarted, and told why', async () => {
    await using lab = await createNodeLab({ exec: async () => ({ exitCode: 1 }) });
    await lab.run('served', { containers: [web({ livenessProbe: { ...probe, initialDelaySeconds: 10 } })] });
    await lab.until('served', isRunning(lab));
    await lab.settle(15_000);
    assert.equal(lab.status(await lab.pod('served')).restartCount, 0);
    const pod = await lab.until('served', (one) => lab.status(one).restartCount === 1, 20_000);
    assert.equal(lab.status(pod).lastState?.terminated?.exitCode, 143);
    const messages = (await lab.events('served')).map(({ message }) => message);
    assert.ok(messages.includes('Container web failed liveness probe, will be restarted'));
  });

  test('startup: the other probes wait for it', async () => {
    const asked: string[] = [];
    let started = false;
    await using lab = await createNodeLab({
      exec: async ([name = '']) => {
        asked.push(name);
        return { exitCode: name === 'startup' && !started ? 1 : 0 };
      },
    });
    const exec = (command: string) => ({ exec: { command: [command] }, periodSeconds: 1, failureThreshold: 60 });
    await lab.run('served', {
      containers: [web({ startupProbe: exec('startup'), livenessProbe: exec('live'), readinessProbe: exec('ready') })],
    });
    await lab.until('served', isRunning(lab));
    await lab.settle(5000);
    assert.deepEqual([...new Set(asked)], ['startup']);
    started = true;
    const pod = await lab.until('served', (one) => lab.status(one).ready, 5000);
    assert.equal(lab.status(pod).started, true);
    const count = asked.filter((name) => name === 'startup').length;
    await lab.settle(5000);
    assert.equal(asked.filter((name) => name === 'startup').length, count, 'it is over when it has passed');
    assert.ok(asked.includes('live'));
  });

  test('startup: a container that never starts up is restarted', async () => {
    await using lab = await createNodeLab({ exec: async () => ({ exitCode: 1 }) });
    await lab.run('served', { containers: [web({ startupProbe: { ...probe, failureThreshold: 2 } })] });
    await lab.until('served', (pod) => lab.status(pod)?.restartCount === 1);
  });

  test('a Pod that was ready stays ready when the server comes again', async () => {
    await using lab = await createNodeLab();
    await lab.run('served', { containers: [web({ readinessProbe: { ...probe, periodSeconds: 100 } })] });
    await lab.until('served', (pod) => lab.status(pod)?.ready, 5000);
    await lab.restart();
    for (let round = 0; round < 10; round++) {
      await lab.settle(100);
      assert.equal(lab.status(await lab.pod('served')).ready, true);
    }
  });

  test('postStart that fails ends the container, which is run again', async () => {
    let fails = true;
    await using lab = await createNodeLab({ exec: async () => ({ exitCode: fails ? 1 : 0 }) });
    await lab.run('served', { containers: [web({ lifecycle: { postStart: { exec: { command: ['hello'] } } } })] });
    await lab.until('served', (pod) => lab.status(pod)?.state?.waiting?.reason === 'PostStartHookError');
    assert.ok((await lab.events('served')).some(({ reason }) => reason === 'FailedPostStartHook'));
    fails = false;
    await lab.until('served', isRunning(lab));
  });
});
