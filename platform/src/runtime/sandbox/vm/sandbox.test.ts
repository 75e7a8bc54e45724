import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { NamespaceMode } from '../../generated/cri.ts';
import type { SandboxRecord } from '../../records/sandbox-record.ts';
import { Sandbox } from './sandbox.ts';

const hostnameOf = (config: SandboxRecord['config']): string => new Sandbox({ config } as SandboxRecord).hostname;

test('a Pod that asks for no host name gets its own as far as a host may be called so', () => {
  const metadata = { uid: 'u', namespace: 'default', attempt: 0 };
  assert.equal(hostnameOf({ hostname: 'asked', metadata: { ...metadata, name: 'pod' } }), 'asked');
  assert.equal(hostnameOf({ metadata: { ...metadata, name: 'pod' } }), 'pod');
  assert.equal(hostnameOf({ metadata: { ...metadata, name: `${'p'.repeat(61)}-.pod` } }), 'p'.repeat(61));
  assert.equal(hostnameOf({}), 'localhost');
  const linux = { securityContext: { namespaceOptions: { network: NamespaceMode.NODE } } };
  assert.equal(hostnameOf({ metadata: { ...metadata, name: 'pod' }, linux }), hostname());
  assert.equal(hostnameOf({ hostname: 'asked', linux }), 'asked');
});
