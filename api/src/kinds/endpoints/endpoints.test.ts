import assert from 'node:assert/strict';
import { it } from 'node:test';
import { admitted, created, updated } from '../kind-fixtures.ts';
import { endpointSliceKind } from './endpoint-slice.ts';
import { endpointsKind } from './endpoints.ts';

const slice = (addressType: string, ...addresses: string[]) => ({ addressType, endpoints: [{ addresses }] });

it('an EndpointSlice holds addresses of its type, each once, that lead to another machine', () => {
  assert.deepEqual(created(endpointSliceKind, slice('IPv4', '10.0.0.1')), []);
  assert.match(created(endpointSliceKind, slice('IPv4', '::5'))[0]!, /must be an IPv4 address/);
  assert.match(created(endpointSliceKind, slice('IPv4', '127.0.0.1'))[0]!, /may not be in the loopback range/);
  assert.match(created(endpointSliceKind, slice('IPv4', '10.0.0.1', '10.0.0.1'))[0]!, /Duplicate value/);
  assert.match(created(endpointSliceKind, slice('Other', '10.0.0.1'))[0]!, /addressType: Unsupported value/);
  assert.match(created(endpointSliceKind, slice('IPv4'))[0]!, /must contain at least 1 address/);
  const many = { addressType: 'IPv4', endpoints: Array.from({ length: 1001 }, () => ({ addresses: ['10.0.0.1'] })) };
  assert.match(created(endpointSliceKind, many)[0]!, /Too many: 1001: must have at most 1000 items/);
});

it('an EndpointSlice keeps its type of address, and counts the changes of what it holds', () => {
  const old = admitted(endpointSliceKind, slice('IPv4', '10.0.0.1'));
  const labelled = updated(endpointSliceKind, old, (object) => Object.assign(object.metadata, { labels: { a: 'b' } }));
  assert.equal(labelled.object.metadata.generation, 1);
  const moved = updated(endpointSliceKind, old, (object) => Object.assign(object, slice('IPv4', '10.0.0.2')));
  assert.equal(moved.object.metadata.generation, 2);
  const other = updated(endpointSliceKind, old, (object) => Object.assign(object, slice('FQDN', 'a.example')));
  assert.match(other.problems[0]!, /addressType: .*field is immutable/);
});

it('Endpoints say who is there, and name their ports when there are several', () => {
  const subsets = (ports: object[], addresses: object[] = [{ ip: '10.0.0.1' }]) => ({
    subsets: [{ addresses, ports }],
  });
  assert.deepEqual(created(endpointsKind, subsets([{ port: 80 }])), []);
  assert.match(
    created(endpointsKind, subsets([{ port: 80 }], []))[0]!,
    /must specify `addresses` or `notReadyAddresses`/,
  );
  assert.match(
    created(endpointsKind, subsets([{ port: 80 }, { port: 81, name: 'b' }]))[0]!,
    /ports\[0\].name: Required/,
  );
  const four = ['1', '2', '3', '4'].map((last) => ({ ip: `10.0.0.${last}` }));
  const shown = endpointsKind.row(admitted(endpointsKind, subsets([{ port: 80 }], four)), 0)[1];
  assert.equal(shown, '10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...');
});
