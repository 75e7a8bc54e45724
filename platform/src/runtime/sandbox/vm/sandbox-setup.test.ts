import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attachment } from '../../../network/network.ts';
import type { SandboxRecord } from '../../records/sandbox-record.ts';
import { sandboxSetup } from './sandbox-setup.ts';

const network = {
  sandboxId: 's',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  ipv4: { address: '10.0.0.2', prefixLength: 24, gateway: '10.0.0.1' },
  nameservers: ['10.0.0.1'],
} as unknown as Attachment;

function resolvConfOf(servers: string[], annotations: Record<string, string> = {}): string {
  const config = { dnsConfig: { servers, searches: [], options: [] }, annotations };
  return sandboxSetup({ id: 's'.repeat(64), config, network, images: {} } as unknown as SandboxRecord, 'h', 0n)
    .resolvConf;
}

const clusterFirst = { 'sampan.dev/cluster-first': 'true' };

test('a Pod that names no server has the network’s resolver, and one that names some has those', () => {
  assert.equal(resolvConfOf([]), 'nameserver 10.0.0.1\n');
  assert.equal(resolvConfOf(['9.9.9.9']), 'nameserver 9.9.9.9\n');
});

test('ClusterFirst: the network’s resolver comes before the Pod’s own servers, three in all', () => {
  assert.equal(resolvConfOf(['9.9.9.9'], clusterFirst), 'nameserver 10.0.0.1\nnameserver 9.9.9.9\n');
  const many = resolvConfOf(['10.0.0.1', '9.9.9.9', '9.9.9.10', '9.9.9.11'], clusterFirst);
  assert.equal(many, 'nameserver 10.0.0.1\nnameserver 9.9.9.9\nnameserver 9.9.9.10\n');
});
