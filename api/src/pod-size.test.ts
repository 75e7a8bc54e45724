import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { containersSize, defaultedResources, defaultSize, machineSize, requestedSize } from './pod-size.ts';

type Lists = { requests?: Record<string, string>; limits?: Record<string, string> };
const mib = 1024 ** 2;
const container = (resources: Lists, rest: Partial<Container> = {}): Container => ({ name: 'x', resources, ...rest });
const sidecar = (resources: Lists) => container(resources, { restartPolicy: 'Always' });
const pod = (containers: Container[], initContainers: Container[] = [], overhead?: Record<string, string>): Pod => ({
  spec: { containers, initContainers, ...(overhead && { overhead }) },
});
const cpu = (amount: string) => ({ requests: { cpu: amount } });
const cores = (one: Pod) => requestedSize(one).cpuMillicores / 1000;

describe('what a Pod asks for as a whole', () => {
  it('is the sum of its containers, and the default once for what some of them leave open', () => {
    const both = pod([
      container({ requests: { cpu: '1500m', memory: '1Gi', 'ephemeral-storage': '1Mi' } }),
      container({ requests: { cpu: '500m' } }),
    ]);
    const memoryBytes = 1024 * mib + defaultSize.memoryBytes;
    assert.deepEqual(requestedSize(both), { cpuMillicores: 2000, memoryBytes, ephemeralStorageBytes: mib });
    assert.deepEqual(defaultedResources(both), ['memory']);
    assert.deepEqual(requestedSize(pod([container({}), container({})])), defaultSize);
  });

  it('is the largest init container where that is more', () => {
    assert.equal(cores(pod([container(cpu('1'))], [container(cpu('3')), container(cpu('2'))])), 3);
  });

  it('counts sidecars beside containers, and beside the init containers that follow them', () => {
    const [five, two, four] = [container(cpu('5')), sidecar(cpu('2')), container(cpu('4'))];
    assert.equal(cores(pod([container(cpu('1'))], [five, two, four])), 6);
    assert.equal(cores(pod([container(cpu('1'))], [five, two])), 5);
    assert.equal(cores(pod([four], [two, container(cpu('1'))])), 6);
  });

  it('is requests where the scheduler counts and limits where the machine is made; one stands in for the other', () => {
    const one = pod([container({ requests: { cpu: '1', memory: '32Mi' }, limits: { memory: '64Mi' } })]);
    assert.deepEqual([requestedSize(one).memoryBytes, machineSize(one).memoryBytes], [32 * mib, 64 * mib]);
    assert.equal(machineSize(one).cpuMillicores, 1000);
    const limited = pod([container({ limits: { cpu: '2', memory: '64Mi' } })]);
    assert.deepEqual(requestedSize(limited), machineSize(limited));
  });

  it('has overhead on top, which the containers do not get', () => {
    const lists = { limits: { memory: '64Mi', cpu: '1' }, requests: { memory: '32Mi', cpu: '1' } };
    const one = pod([container(lists)], [], { memory: '16Mi', cpu: '100m' });
    assert.deepEqual([requestedSize(one).memoryBytes, machineSize(one).memoryBytes], [48 * mib, 80 * mib]);
    assert.deepEqual([machineSize(one).cpuMillicores, containersSize(one).cpuMillicores], [1100, 1000]);
  });
});
