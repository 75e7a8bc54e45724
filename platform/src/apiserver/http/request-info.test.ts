import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { type ResourceRequest, resourceRequestOf } from './request-info.ts';

function read(method: string, target: string): ResourceRequest | undefined {
  const url = new URL(target, 'https://host');
  return resourceRequestOf(method, url.pathname, url.searchParams);
}

const cases: [string, string, Partial<ResourceRequest>][] = [
  ['GET', '/api/v1/pods', { verb: 'list', resource: 'pods', namespace: undefined, name: '' }],
  ['GET', '/api/v1/namespaces/a/pods/', { verb: 'list', resource: 'pods', namespace: 'a', name: '' }],
  ['GET', '/api/v1/namespaces/a/pods?watch=true', { verb: 'watch', namespace: 'a' }],
  ['GET', '/api/v1/namespaces/a/pods?watch=0', { verb: 'list', namespace: 'a' }],
  ['GET', '/api/v1/watch/namespaces/a/pods', { verb: 'watch', resource: 'pods', namespace: 'a' }],
  ['GET', '/api/v1/namespaces', { verb: 'list', resource: 'namespaces', name: '' }],
  ['GET', '/api/v1/namespaces/a', { verb: 'get', resource: 'namespaces', name: 'a', namespace: undefined }],
  [
    'PUT',
    '/api/v1/namespaces/a/finalize',
    { verb: 'update', resource: 'namespaces', subresource: 'finalize', name: 'a' },
  ],
  ['PATCH', '/api/v1/namespaces/a/pods/p/status', { verb: 'patch', subresource: 'status', name: 'p' }],
  ['DELETE', '/api/v1/namespaces/a/pods', { verb: 'deletecollection' }],
  ['DELETE', '/api/v1/namespaces/a/pods/p', { verb: 'delete', name: 'p' }],
  ['POST', '/api/v1/namespaces/a/pods/p/eviction', { verb: 'create', subresource: 'eviction', name: 'p' }],
  ['GET', '/api/v1/nodes/n/proxy/images/x', { verb: 'get', subresource: 'proxy', rest: 'images/x' }],
  ['GET', '/apis/coordination.k8s.io/v1/leases', { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' }],
  ['OPTIONS', '/api/v1/pods', { verb: 'unknown' }],
];

for (const [method, target, expected] of cases) {
  test(`${method} ${target} means ${JSON.stringify(expected)}`, () => {
    const info = read(method, target);
    for (const [key, value] of Object.entries(expected)) assert.equal(info?.[key as keyof ResourceRequest], value, key);
  });
}

test('discovery and health paths are no resources', () => {
  for (const path of [
    '/',
    '/api',
    '/api/v1',
    '/apis',
    '/apis/apps',
    '/apis/apps/v1',
    '/healthz',
    '/openapi/v3/api/v1',
  ]) {
    assert.equal(read('GET', path), undefined, path);
  }
});

test('segments that would change the path are refused', () => {
  for (const segment of ['a%2Fb', '%2e%2e', '%00', '%zz']) {
    assert.throws(
      () => resourceRequestOf('GET', `/api/v1/pods/${segment}`, new URLSearchParams()),
      (error) => isReason(error, 'BadRequest'),
    );
  }
});
