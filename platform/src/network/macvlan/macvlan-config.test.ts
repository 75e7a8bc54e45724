import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChain } from '../cni/cni-config.ts';
import { macvlanChain, parseMacvlan } from './macvlan-config.ts';

test('a wire, its addresses and its gateway become a CNI network of the macvlan plugin', () => {
  const options = parseMacvlan('eth1,192.168.7.100-192.168.7.150/24,192.168.7.1');
  const chain = parseChain(JSON.stringify(macvlanChain(options, '/run/x')), true);
  assert.deepEqual(chain.plugins, [
    {
      ...{ type: 'macvlan', master: 'eth1', mode: 'bridge' },
      ipam: {
        ...{ type: 'host-local', dataDir: '/run/x' },
        ranges: [
          [
            {
              ...{ subnet: '192.168.7.0/24', rangeStart: '192.168.7.100' },
              ...{ rangeEnd: '192.168.7.150', gateway: '192.168.7.1' },
            },
          ],
        ],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ]);
  assert.doesNotMatch(JSON.stringify(macvlanChain(parseMacvlan('eth1,10.0.0.8-10.0.0.9/29'), '/x')), /gateway|routes/);
});

test('what is no wire is refused with what is wrong in it', () => {
  const cases: [string, RegExp][] = [
    ['eth1', /not of that form/],
    ['eth1,10.0.0.1-10.0.0.9', /not of that form/],
    ['e/h,10.0.0.1-10.0.0.9/24', /no name of a device/],
    ['eth1,10.0.0.9-10.0.0.1/24', /first address comes after/],
    ['eth1,10.0.0.1-10.0.1.9/24', /10.0.1.9 is not in 10.0.0.0\/24/],
    ['eth1,10.0.0.1-10.0.0.9/24,10.9.0.1', /10.9.0.1 is not in/],
    ['eth1,10.0.0.1-10.0.0.9/24,10.0.0.5', /gateway is one of/],
    ['eth1,10.0.0.1-10.0.0.9/31', /from 8 to 30/],
    ['eth1,10.0.0.1-10.0.0.9/24,10.0.0.10,x', /not of that form/],
  ];
  for (const [text, why] of cases) assert.throws(() => parseMacvlan(text), { reason: 'Invalid', message: why });
});
