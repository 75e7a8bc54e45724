import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fieldsOfMessages, loadCriServices } from './messages.ts';

const services = loadCriServices();

function roundTrip(method: string, message: object): object {
  const { requestSerialize, requestDeserialize } = services.runtime[method]!;
  return requestDeserialize(requestSerialize(message)) as object;
}

test('64-bit numbers come back as bigints however deep and large, and nothing else changes', () => {
  const message = {
    podSandboxId: 'p',
    config: {
      metadata: { name: 'c', attempt: 3 },
      envs: [{ key: 'A', value: Buffer.from([0, 255]) }],
      labels: { a: 'b' },
      linux: {
        resources: {
          cpuShares: -5n,
          memoryLimitInBytes: (1n << 62n) + 1n,
          hugepageLimits: [{ pageSize: 'x', limit: (1n << 64n) - 1n }],
        },
        securityContext: { runAsUser: { value: 0n }, supplementalGroups: [1n, 2n], namespaceOptions: { pid: 2 } },
      },
    },
  };
  const back = roundTrip('CreateContainer', message) as typeof message;
  assert.deepEqual(back.config.linux.resources, message.config.linux.resources);
  assert.deepEqual(back.config.linux.securityContext.supplementalGroups, [1n, 2n]);
  assert.deepEqual(back.config.linux.securityContext.runAsUser, { value: 0n });
  assert.deepEqual(back.config.linux.securityContext.namespaceOptions, { network: 0, pid: 2, ipc: 0 });
  assert.deepEqual(back.config.envs, message.config.envs);
  assert.deepEqual([back.config.labels, back.config.metadata], [{ a: 'b' }, { name: 'c', attempt: 3 }]);
});

test('what a request does not say is absent, and a zero that says something is there', () => {
  assert.deepEqual(roundTrip('ListContainers', { filter: { state: { state: 0 } } }), {
    filter: { state: { state: 0 } },
  });
  assert.deepEqual(roundTrip('UpdateContainerResources', { containerId: 'c', linux: { cpuQuota: 5n } }), {
    containerId: 'c',
    linux: { cpuQuota: 5n },
  });
  assert.deepEqual(roundTrip('ListContainers', {}), {});
  assert.deepEqual(roundTrip('ListContainers', { filter: {} }), { filter: {} });
});

test('every message and field of the proto is called what the generated types call it', async () => {
  const types = await readFile(new URL('../runtime/generated/cri.ts', import.meta.url), 'utf8');
  const missing: string[] = [];
  for (const [name, fields] of fieldsOfMessages()) {
    const body = new RegExp(`export interface ${name} \\{\\n([^]*?)\\n\\}`).exec(types)?.[1];
    for (const field of fields) if (!body?.includes(` ${field}?:`)) missing.push(`${name}.${field}`);
  }
  assert.deepEqual(missing, []);
});
