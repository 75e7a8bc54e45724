import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Endpoint } from 'kubernetes-types/discovery/v1.js';
import { planSlices, type SliceObject } from './plan-slices.ts';
import { type EndpointGroup, endpointGroups, type PodObject, type ServiceObject } from './pod-endpoints.ts';

const template = { namespace: 'default', generateName: 'web-', labels: { a: 'b' }, ownerReferences: [] };
const endpoint = (i: number) => ({ addresses: [`10.0.0.${i}`], targetRef: { uid: `u${i}` } }) as Endpoint;
const group = (count: number, from = 0): EndpointGroup => ({
  addressType: 'IPv4',
  ports: [{ name: '', port: 80, protocol: 'TCP' }],
  endpoints: Array.from({ length: count }, (_, i) => endpoint(from + i)),
});
const plan = (groups: EndpointGroup[], existing: SliceObject[] = [], placeholder = true) =>
  planSlices({ groups, existing, template, placeholder });
/** As the API would have stored it. */
const stored = (slices: SliceObject[]) =>
  slices.map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, name: `s${i}`, uid: `s${i}` } }) as SliceObject);
const sizes = (slices: SliceObject[]) => slices.map(({ endpoints }) => endpoints.length);

describe('slices of a Service', () => {
  it('hold a hundred endpoints each', () => {
    assert.deepEqual(sizes(plan([group(250)]).create), [100, 100, 50]);
  });

  it('are not written when nothing changed', () => {
    const existing = stored(plan([group(150)]).create);
    assert.deepEqual(plan([group(150)], existing), { create: [], update: [], remove: [] });
  });

  it('keep their endpoints where they are: one that goes and one that comes are one write', () => {
    const existing = stored(plan([group(150)]).create);
    const { create, update, remove } = plan([group(150, 1)], existing);
    assert.deepEqual([create.length, remove.length, update.length], [0, 0, 1]);
    assert.equal(update[0]!.metadata?.name, 's0');
    assert.equal(update[0]!.endpoints.at(-1)!.addresses[0], '10.0.0.150');
  });

  it('go when they are empty, but for one that tells that there is nothing', () => {
    const existing = stored(plan([group(150)]).create);
    assert.deepEqual(
      plan([group(50)], existing).remove.map(({ metadata }) => metadata?.name),
      ['s1'],
    );
    const none = plan([], existing);
    assert.deepEqual([none.remove.length, sizes(none.create), none.create[0]!.ports], [2, [0], []]);
    assert.deepEqual(plan([], stored(none.create)), { create: [], update: [], remove: [] });
    assert.deepEqual(plan([], existing, false).create, []);
  });

  it('are told apart by their ports', () => {
    const other = { ...group(1, 500), ports: [{ name: '', port: 81, protocol: 'TCP' }] };
    assert.equal(plan([group(1), other]).create.length, 2);
  });

  it('take over the labels of their Service', () => {
    const existing = stored(plan([group(1)]).create);
    const changed = { ...template, labels: { a: 'c' } };
    const { update } = planSlices({ groups: [group(1)], existing, template: changed, placeholder: true });
    assert.deepEqual(update[0]!.metadata?.labels, { a: 'c' });
  });
});

describe('endpoints of Pods', () => {
  const service = (spec: object = {}) =>
    ({
      metadata: { name: 'web', namespace: 'default' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http', protocol: 'TCP' }], ...spec },
    }) as ServiceObject;
  const pod = (change: { status?: object; spec?: object; metadata?: object } = {}) =>
    ({
      metadata: { name: 'p', namespace: 'default', uid: 'u', labels: { app: 'web' }, ...change.metadata },
      spec: {
        nodeName: 'n1',
        containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }] }],
        ...change.spec,
      },
      status: {
        phase: 'Running',
        podIP: '10.0.0.9',
        conditions: [{ type: 'Ready', status: 'True' }],
        ...change.status,
      },
    }) as unknown as PodObject;
  const conditions = (one: PodObject, spec: object = {}) =>
    endpointGroups(service(spec), [one]).flatMap(({ endpoints }) => endpoints.map((each) => each.conditions));

  it('name the node and the Pod, and take the number of a named port from its containers', () => {
    const [found] = endpointGroups(service(), [pod()]);
    assert.deepEqual(found?.ports, [{ name: '', port: 8080, protocol: 'TCP' }]);
    assert.equal(found?.endpoints[0]?.nodeName, 'n1');
    assert.equal(found?.endpoints[0]?.targetRef?.name, 'p');
  });

  it('are ready, serving and terminating as the Pod is', () => {
    const unready = { status: { conditions: [] } };
    const ending = { metadata: { deletionTimestamp: '2024-01-01T00:00:00Z' } };
    assert.deepEqual(conditions(pod()), [{ ready: true, serving: true, terminating: false }]);
    assert.deepEqual(conditions(pod(unready)), [{ ready: false, serving: false, terminating: false }]);
    assert.deepEqual(conditions(pod(ending)), [{ ready: false, serving: true, terminating: true }]);
    assert.deepEqual(conditions(pod(unready), { publishNotReadyAddresses: true }), [
      { ready: true, serving: false, terminating: false },
    ]);
  });

  it('are none for Pods that ended, have no address, do not match or lack the named port', () => {
    assert.deepEqual(conditions(pod({ status: { phase: 'Succeeded' } })), []);
    assert.deepEqual(conditions(pod({ status: { podIP: undefined } })), []);
    assert.deepEqual(conditions(pod({ metadata: { labels: { app: 'other' } } })), []);
    assert.deepEqual(conditions(pod({ spec: { containers: [{ name: 'c' }] } })), []);
  });

  it('have a hostname of their own when the Pod says it belongs to the Service', () => {
    const named = pod({ spec: { hostname: 'db-0', subdomain: 'web' } });
    const [found] = endpointGroups(service({ clusterIP: 'None', ports: [] }), [named]);
    assert.equal(found?.endpoints[0]?.hostname, 'db-0');
    assert.deepEqual(found?.ports, []);
  });
});
