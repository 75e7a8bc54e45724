import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { AuthorizerChain, groupAuthorizer, mastersAuthorizer } from './authorizer.ts';
import { impersonated } from './impersonation.ts';
import { systemUser } from './user.ts';

const admin = systemUser('admin');
const helpers = groupAuthorizer('helpers', {
  resourceRules: [{ verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['jane'] }],
  nonResourceRules: [],
});
const authorizer = new AuthorizerChain([mastersAuthorizer, helpers]);
const helper = { name: 'helper', groups: ['helpers'] };

test('without such headers everybody is himself', async () => {
  assert.equal(await impersonated(authorizer, helper, { accept: ['*/*'] }), helper);
});

test("an admin becomes whom he names, with that user's groups and no longer his own", async () => {
  const headers = { 'impersonate-user': ['jane'], 'impersonate-group': ['dev', 'ops'] };
  assert.deepEqual(await impersonated(authorizer, admin, headers), {
    name: 'jane',
    groups: ['dev', 'ops', 'system:authenticated'],
  });
});

test('a service account comes with its groups', async () => {
  const headers = { 'impersonate-user': ['system:serviceaccount:default:robot'] };
  const { groups } = await impersonated(authorizer, admin, headers);
  assert.deepEqual(groups, ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated']);
});

test('nobody in particular is not among those who have shown who they are, unless so named', async () => {
  const asNobody = (more: object) =>
    impersonated(authorizer, admin, { 'impersonate-user': ['system:anonymous'], ...more });
  assert.deepEqual((await asNobody({})).groups, ['system:unauthenticated']);
  const full = await asNobody({ 'impersonate-uid': ['7'], 'impersonate-group': ['dev'] });
  assert.deepEqual(full, { name: 'system:anonymous', groups: ['dev', 'system:unauthenticated'], uid: '7' });
  const named = await asNobody({ 'impersonate-group': ['system:authenticated'] });
  assert.deepEqual(named.groups, ['system:authenticated']);
});

test('who may impersonate one user may not become another, nor add a group', async () => {
  assert.equal((await impersonated(authorizer, helper, { 'impersonate-user': ['jane'] })).name, 'jane');
  for (const headers of [
    { 'impersonate-user': ['bob'] },
    { 'impersonate-user': ['jane'], 'impersonate-group': ['system:masters'] },
    { 'impersonate-user': ['jane'], 'impersonate-extra-scopes': ['all'] },
    { 'impersonate-user': ['jane'], 'impersonate-uid': ['1'] },
  ]) {
    await assert.rejects(impersonated(authorizer, helper, headers), (error) => isReason(error, 'Forbidden'));
  }
});

test('groups without a user are refused rather than ignored', async () => {
  const headers = { 'impersonate-group': ['dev'] };
  await assert.rejects(impersonated(authorizer, admin, headers), (error) => isReason(error, 'BadRequest'));
});
