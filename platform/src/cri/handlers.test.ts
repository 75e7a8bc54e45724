import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { httpStatusOf, SampanError } from '@sampan/api/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { inBatches } from './batches.ts';
import { grpcCodeOf, grpcStatus } from './grpc-status.ts';
import { imageCalls, imageStreams, runtimeCalls, runtimeStreams, unserved } from './handlers.ts';
import { loadCriServices } from './messages.ts';
import { listMetricDescriptors, listPodSandboxMetrics } from './metrics.ts';

test('every call of CRI is served, or refused with a reason of its own', () => {
  const runtime = {} as Runtime;
  const served = [
    runtimeCalls(runtime, {} as never),
    runtimeStreams(runtime),
    imageCalls(runtime),
    imageStreams(runtime),
  ];
  const known = new Set([...served.flatMap((calls) => Object.keys(calls)), ...Object.keys(unserved)]);
  const { runtime: runtimeService, image } = loadCriServices();
  const methods = [...Object.keys(runtimeService), ...Object.keys(image)].map(
    (name) => name.charAt(0).toLowerCase() + name.slice(1),
  );
  assert.deepEqual([...known].sort(), methods.sort());
});

test('every reason has its gRPC code, anything else is Unknown, and no message is too long for a trailer', () => {
  assert.deepEqual(Object.keys(grpcCodeOf).sort(), Object.keys(httpStatusOf).sort());
  assert.deepEqual(grpcStatus(new SampanError('NotFound', 'gone')), { code: status.NOT_FOUND, details: 'gone' });
  assert.equal(grpcStatus(new Error('x'.repeat(10_000))).code, status.UNKNOWN);
  assert.equal(grpcStatus(new Error('x'.repeat(10_000))).details.length, 3000);
});

test('a long list comes in messages of a few hundred, an empty one in none', async () => {
  const sizes = async (count: number) => {
    const found: number[] = [];
    const list = async () => ({ items: Array.from({ length: count }, (_, index) => index) });
    for await (const { items } of inBatches(
      list,
      (answer) => answer.items,
      (items) => ({ items }),
    ))
      found.push(items.length);
    return found;
  };
  assert.deepEqual([await sizes(0), await sizes(1), await sizes(450)], [[], [1], [200, 200, 50]]);
});

test('metrics carry a value for each of their labels, and leave out what nobody told', async () => {
  const metadata = { name: 'web', namespace: 'default' };
  const container = {
    attributes: { id: 'c', metadata: { name: 'main' } },
    cpu: { usageCoreNanoSeconds: { value: 2_500_000_000n } },
  };
  const stats = [
    {
      attributes: { id: 'p', metadata },
      linux: { containers: [container], network: { defaultInterface: { name: 'eth0', rxBytes: { value: 7n } } } },
    },
  ];
  const { podMetrics } = await listPodSandboxMetrics({ listPodSandboxStats: async () => ({ stats }) });
  const summary = (metrics: { name?: string; labelValues?: string[]; value?: { value?: bigint } }[] = []) =>
    metrics.map(({ name, labelValues, value }) => [name, labelValues, value?.value]);
  assert.deepEqual(summary(podMetrics![0]!.metrics), [
    ['container_network_receive_bytes_total', ['default', 'web', 'POD', 'eth0'], 7n],
  ]);
  assert.deepEqual(summary(podMetrics![0]!.containerMetrics![0]!.metrics), [
    ['container_cpu_usage_seconds_total', ['default', 'web', 'main'], 2n],
  ]);
  const { descriptors } = listMetricDescriptors();
  assert.deepEqual(descriptors!.find(({ name }) => name === 'container_network_receive_bytes_total')?.labelKeys, [
    'namespace',
    'pod',
    'container',
    'interface',
  ]);
});
