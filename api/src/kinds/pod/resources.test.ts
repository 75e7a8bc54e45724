import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { podResources, qosClassOf } from './resources.ts';

type Lists = { requests?: Record<string, string>; limits?: Record<string, string> };
const container = (resources: Lists, rest: Partial<Container> = {}): Container => ({ name: 'x', resources, ...rest });
const sidecar = (resources: Lists) => container(resources, { restartPolicy: 'Always' });
const pod = (containers: Container[], initContainers: Container[] = [], overhead?: Record<string, string>): Pod => ({
  spec: { containers, initContainers, ...(overhead && { overhead }) },
});
const cpu = (amount: string) => ({ requests: { cpu: amount } });
const texts = (amounts: Record<string, { toString(): string }>) =>
  Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount.toString()]));

describe('what a Pod asks for as a whole', () => {
  it('is the sum of its containers', () => {
    const both = pod([
      container({ requests: { cpu: '1500m', memory: '1Gi' } }),
      container({ requests: { cpu: '500m' } }),
    ]);
    assert.deepEqual(texts(podResources(both).requests), { cpu: '2', memory: '1Gi' });
  });

  it('is the largest init container where that is more', () => {
    const one = pod([container(cpu('1'))], [container(cpu('3')), container(cpu('2'))]);
    assert.deepEqual(texts(podResources(one).requests), { cpu: '3' });
  });

  it('counts sidecars beside containers, and beside the init containers that follow them', () => {
    const one = pod([container(cpu('1'))], [container(cpu('5')), sidecar(cpu('2')), container(cpu('4'))]);
    assert.deepEqual(texts(podResources(one).requests), { cpu: '6' });
    const early = pod([container(cpu('1'))], [container(cpu('5')), sidecar(cpu('2'))]);
    assert.deepEqual(texts(podResources(early).requests), { cpu: '5' });
    const many = pod([container(cpu('4'))], [sidecar(cpu('2')), container(cpu('1'))]);
    assert.deepEqual(texts(podResources(many).requests), { cpu: '6' });
  });

  it('adds overhead to requests, and to limits only where there is one', () => {
    const one = pod([container({ limits: { memory: '64Mi' }, requests: { memory: '32Mi' } })], [], {
      memory: '16Mi',
      cpu: '100m',
    });
    const { requests, limits, unlimited } = podResources(one);
    assert.deepEqual(texts(requests), { memory: '48Mi', cpu: '100m' });
    assert.deepEqual(texts(limits), { memory: '80Mi' });
    assert.deepEqual(unlimited, ['cpu']);
  });
});

describe('the QoS class', () => {
  const both = { cpu: '1', memory: '1Gi' };
  const cases: [string, Pod, string][] = [
    ['nothing said', pod([container({})]), 'BestEffort'],
    ['zero said', pod([container({ requests: { cpu: '0' } })]), 'BestEffort'],
    ['limits alone', pod([container({ limits: both })]), 'Guaranteed'],
    [
      'equal in other words',
      pod([container({ limits: both, requests: { cpu: '1000m', memory: '1024Mi' } })]),
      'Guaranteed',
    ],
    ['requests below limits', pod([container({ limits: both, requests: { cpu: '1', memory: '1' } })]), 'Burstable'],
    ['memory alone', pod([container({ limits: { memory: '1Gi' } })]), 'Burstable'],
    ['one container of two', pod([container({ limits: both }), container({})]), 'Burstable'],
    ['an init container without', pod([container({ limits: both })], [container({})]), 'Burstable'],
    ['other resources alone', pod([container({ limits: { 'x.io/a': '1' } })]), 'BestEffort'],
  ];
  for (const [what, one, wanted] of cases) {
    it(`is ${wanted} for ${what}`, () => {
      assert.equal(qosClassOf(one), wanted);
    });
  }
});
