import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { qosClassOf } from './qos-class.ts';

type Lists = { requests?: Record<string, string>; limits?: Record<string, string> };
const container = (resources: Lists): Container => ({ name: 'x', resources });
const pod = (containers: Container[], initContainers: Container[] = []): Pod => ({
  spec: { containers, initContainers },
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
