import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubeletEndpoint } from './kubelet-endpoint.ts';

const node = (addresses: object[], Port?: number) => ({
  metadata: { name: 'n' },
  status: { addresses, ...(Port === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port } } }) },
});

test('the internal address is preferred, and a name is good where there is no address', () => {
  const hostname = { type: 'Hostname', address: 'n.example' };
  const addresses = [
    hostname,
    { type: 'ExternalIP', address: '192.0.2.1' },
    { type: 'InternalIP', address: '10.0.0.1' },
  ];
  assert.deepEqual(kubeletEndpoint(node(addresses, 10_250)), { host: '10.0.0.1', port: 10_250 });
  assert.deepEqual(kubeletEndpoint(node([hostname], 10_250)), { host: 'n.example', port: 10_250 });
});

test('a node that names no kubelet, or something that is none, does not answer', () => {
  const address = { type: 'InternalIP', address: '10.0.0.1' };
  for (const [bad, why] of [
    [node([address]), /names no port/],
    [node([address], 70_000), /names no port/],
    [node([], 10_250), /names no address/],
    [node([{ type: 'InternalIP', address: 'x/../y@z' }], 10_250), /names no address/],
    [{ metadata: { name: 'n' } }, /names no port/],
    [{ metadata: { name: 'n' }, status: { addresses: 'x' } }, /cannot be read/],
  ] as const)
    assert.throws(() => kubeletEndpoint(bad), { reason: 'ServiceUnavailable', message: why });
});
