import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { capabilitiesOf, cniArgs } from './capabilities.ts';
import { type Chain, loadChain, parseChain } from './cni-config.ts';
import { podAddresses, resultSchema } from './cni-result.ts';
import { addressesOf } from './join-netns.ts';
import {
  addToNetwork,
  type ChainRun,
  checkNetwork,
  collectGarbage,
  networkFaults,
  removeFromNetwork,
} from './run-chain.ts';

const request = { sandboxId: 'abc', podNamespace: 'ns', podName: 'pod', podUid: 'uid' };
const chainOf = (...plugins: Chain['plugins']): Chain => ({ cniVersion: '1.0.0', name: 'net', plugins });

test('a network is the first by name that is one; a file of one plugin is a chain of one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cni-'));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, '00-readme.txt'), 'no network');
  await assert.rejects(loadChain(directory), (error) => isReason(error, 'FailedPrecondition'));
  await writeFile(join(directory, '10-broken.conflist'), '{');
  await assert.rejects(loadChain(directory), /10-broken.conflist: not JSON/);
  await writeFile(join(directory, '30-list.conflist'), JSON.stringify(chainOf({ type: 'bridge' })));
  await writeFile(join(directory, '20-one.conf'), '{"cniVersion":"0.3.1","name":"one","type":"ptp","mtu":1400}');
  assert.deepEqual(await loadChain(directory), {
    cniVersion: '0.3.1',
    name: 'one',
    plugins: [{ type: 'ptp', mtu: 1400 }],
  });
});

test('a configuration that names a program elsewhere, an old version or no plugin is refused by the field', () => {
  const cases: [object, RegExp][] = [
    [chainOf({ type: '../bin/sh' }), /plugins.0.type/],
    [chainOf({ type: '/bin/sh' }), /plugins.0.type/],
    [{ ...chainOf({ type: 'x' }), cniVersion: '0.2.0' }, /cniVersion/],
    [{ ...chainOf({ type: 'x' }), name: '../x' }, /name/],
    [chainOf(), /plugins/],
  ];
  for (const [config, field] of cases)
    assert.throws(
      () => parseChain(JSON.stringify(config), true),
      (error: Error) => isReason(error, 'Invalid') && field.test(error.message),
    );
});

test('a result becomes addresses of both families, routes, and gateways where there is a default route', () => {
  const result = resultSchema.parse({
    interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: '/ns', mac: '02:00:00:00:00:01' }],
    ips: [
      { address: '10.0.0.5/24', gateway: '10.0.0.1', interface: 1 },
      { address: '10.0.0.1/24', interface: 0 },
      { address: 'fd00::5/64', gateway: 'fd00::1', interface: 1 },
      { address: '10.1.0.5/16' },
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.0.0.9' }],
    dns: { domain: 'a.example', search: ['a.example', 'b.example'], nameservers: ['10.0.0.2'] },
  });
  assert.deepEqual(podAddresses(result, 'eth0'), {
    ipv4: { address: '10.0.0.5', prefixLength: 24, gateway: '10.0.0.1' },
    ipv6: { address: 'fd00::5', prefixLength: 64, gateway: undefined },
    moreAddresses: [{ address: '10.1.0.5', prefixLength: 16 }],
    routes: [{ destination: '10.9.0.0/16', gateway: '10.0.0.9' }],
    dns: { nameservers: ['10.0.0.2'], searches: ['a.example', 'b.example'], options: [] },
  });
  assert.throws(() => podAddresses({ ips: [{ address: 'fd00::5/64' }] }, 'eth0'), /no IPv4 address/);
});

test('what a plugin cannot mean is no result', () => {
  for (const bad of [
    { ips: [{ address: '10.0.0.1; rm' }] },
    { routes: [{ dst: 'x' }] },
    { ips: 'all' },
    'text',
    { dns: { nameservers: ['$(x)'] } },
  ])
    assert.equal(resultSchema.safeParse(bad).success, false, JSON.stringify(bad));
});

test('capabilities are what the Pod says, and refused by name where no plugin has them', () => {
  const portMappings = [{ protocol: 'tcp' as const, hostPort: 80, containerPort: 8080, hostIp: '127.0.0.1' }];
  const annotations = { 'kubernetes.io/ingress-bandwidth': '10M', 'sampan.dev/ips': '["10.0.0.9"]' };
  const able = chainOf({ type: 'x', capabilities: { portMappings: true, bandwidth: true, ips: true } });
  const found = capabilitiesOf({ ...request, portMappings, annotations }, able);
  assert.deepEqual(found.portMappings, [{ protocol: 'tcp', hostPort: 80, containerPort: 8080, hostIP: '127.0.0.1' }]);
  assert.deepEqual(found.bandwidth, { ingressRate: 10_000_000, ingressBurst: 2 ** 21 });
  assert.deepEqual(found.ips, ['10.0.0.9']);
  for (const more of [{ portMappings }, { annotations }])
    assert.throws(
      () => capabilitiesOf({ ...request, ...more }, chainOf({ type: 'x' })),
      (error) => isReason(error, 'Unsupported'),
    );
  for (const rate of ['fast', '1', '-5M', '1E'])
    assert.throws(
      () => capabilitiesOf({ ...request, annotations: { 'kubernetes.io/egress-bandwidth': rate } }, able),
      (error) => isReason(error, 'Invalid'),
    );
  assert.match(cniArgs(request), /^IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;/);
});

test('addresses that are found in a namespace leave out what the kernel makes by itself', () => {
  const device = {
    ifname: 'eth0',
    link_type: 'ether',
    addr_info: [
      { family: 'inet', local: '10.0.0.5', prefixlen: 24, scope: 'global' },
      { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' },
    ],
  };
  const routes = [
    { dst: 'default', gateway: '10.0.0.1' },
    { dst: '10.0.0.0/24', protocol: 'kernel' },
    { dst: '10.3.0.1', gateway: '10.0.0.2' },
  ];
  assert.deepEqual(addressesOf(device, routes), {
    ipv4: { address: '10.0.0.5', prefixLength: 24, gateway: '10.0.0.1' },
    moreAddresses: [],
    routes: [{ destination: '10.3.0.1/32', gateway: '10.0.0.2' }],
  });
});

/** A plugin that writes down how it was called, passes its result on, and fails where it is told to. */
const recorder = `#!/bin/sh
input=$(cat)
echo "$CNI_COMMAND $(basename "$0") $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $input" >> "$(dirname "$0")/calls"
[ -e "$(dirname "$0")/fail-$(basename "$0")-$CNI_COMMAND" ] && { echo '{"code": 7, "msg": "told to"}'; exit 1; }
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.5/24"}],"by":"'$(basename "$0")'"}'
exit 0
`;

test('a chain runs forwards with each result handed on, and backwards to the end even where a plugin fails; 1.1 asks and tells more', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cni-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const name of ['first', 'second']) {
    await writeFile(join(directory, name), recorder);
    await chmod(join(directory, name), 0o755);
  }
  const plugins = [{ type: 'first', capabilities: { mac: true } }, { type: 'second' }];
  const run: ChainRun = {
    chain: { cniVersion: '1.1.0', name: 'net', plugins },
    ...{ path: ['/nowhere', directory], containerId: 'abc', netnsPath: '/ns', interfaceName: 'eth0', args: '' },
    capabilities: { mac: '02:00:00:00:00:09', dns: {} },
  };
  const calls = async () => {
    const lines = (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n');
    await writeFile(join(directory, 'calls'), '');
    return lines;
  };
  const kept: unknown[] = [];
  const result = await addToNetwork(run, async (one) => void kept.push(one.by));
  assert.deepEqual(kept, ['first', 'second']);
  const [first, second] = await calls();
  assert.match(first!, /^ADD first abc \/ns eth0 .*"runtimeConfig":{"mac":"02:00:00:00:00:09"}/);
  assert.doesNotMatch(first!, /prevResult|capabilities/);
  assert.match(second!, /^ADD second .*"prevResult":.*"by":"first"/);
  assert.doesNotMatch(second!, /runtimeConfig/);
  await checkNetwork(run, result);
  assert.match((await calls())[1]!, /^CHECK second .*"by":"second"/);
  await writeFile(join(directory, 'fail-second-DEL'), '');
  await assert.rejects(removeFromNetwork({ ...run, netnsPath: undefined }, result), /second, DEL: told to \(code 7\)/);
  const removed = await calls();
  assert.deepEqual(
    removed.map((line) => line.split(' ').slice(0, 4).join(' ')),
    ['DEL second abc ', 'DEL first abc '],
  );
  await writeFile(join(directory, 'fail-first-STATUS'), '');
  assert.equal((await networkFaults(run)).length, 1);
  await calls();
  assert.deepEqual(await collectGarbage(run, ['abc']), []);
  assert.match(
    (await calls())[0]!,
    /^GC first .*"cni.dev\/valid-attachments":\[{"containerID":"abc","ifname":"eth0"}\]/,
  );
  await assert.rejects(
    addToNetwork({ ...run, chain: chainOf({ type: 'third' }) }, async () => {}),
    /no CNI plugin third in \/nowhere/,
  );
});
