import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import { rbacResources } from '@sampan/api/kinds/rbac/resources.ts';
import type { ClusterRole, PolicyRule, Role, RoleBinding, Subject } from 'kubernetes-types/rbac/v1.js';
import { sharedStore } from '../../../../test/fixtures/shared-store.ts';
import { startTestApi, type TestApi, testPod } from '../../../../test/integration/api-test-server.ts';
import { until } from '../../../../test/integration/support/wait.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { ClusterRoleAggregation } from '../../../controllers/cluster-role-aggregation.ts';
import { authenticated } from '../user.ts';

const { roles, rolebindings, clusterroles, clusterrolebindings } = rbacResources;
const { pods, configmaps } = resources;
let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

const as = (name: string, ...groups: string[]): KubeClient =>
  api.server.inProcess({ name, groups: [...groups, authenticated] });
const podReader: PolicyRule = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] };
const user = (name: string): Subject => ({ kind: 'User', name });

async function give(name: string, rules: PolicyRule[], subjects: Subject[], namespace = 'default'): Promise<void> {
  await api.client.create(roles, { metadata: { name, namespace }, rules } as Role & KubeObject);
  const roleRef = { kind: 'Role', name } as RoleBinding['roleRef'];
  await api.client.create(rolebindings, { metadata: { name, namespace }, roleRef, subjects } as KubeObject);
  await settled();
}

/** Authorisation reads the cache: a read of what was written says that the cache has it. */
const settled = () => api.client.get(resources.namespaces, 'default');

const forbidden = (text: RegExp) => (error: SampanError) => {
  assert.match(error.message, text);
  return isReason(error, 'Forbidden');
};

describe('a user may', () => {
  test('what a role of the namespace says, there and nowhere else', async () => {
    await give('reader', [podReader], [user('ann')]);
    const ann = as('ann');
    assert.deepEqual((await ann.list(pods, { namespace: 'default' })).items, []);
    await assert.rejects(
      ann.list(pods),
      forbidden(/cannot list resource "pods" in API group "" at the cluster scope$/),
    );
    await assert.rejects(ann.list(pods, { namespace: 'kube-system' }), forbidden(/in the namespace "kube-system"$/));
    await assert.rejects(ann.create(pods, testPod('no')), forbidden(/cannot create/));
    await assert.rejects(as('bob').list(pods, { namespace: 'default' }), forbidden(/User "bob" cannot/));
  });

  test('nothing more when the binding is gone, or its subjects change', async () => {
    await give('passing', [podReader], [user('eve')], 'kube-public');
    const eve = as('eve');
    await eve.list(pods, { namespace: 'kube-public' });
    const binding = await api.client.get<RoleBinding & KubeObject>(rolebindings, 'passing', 'kube-public');
    await api.client.update(rolebindings, { ...binding, subjects: [user('other')] });
    await settled();
    await assert.rejects(eve.list(pods, { namespace: 'kube-public' }), forbidden(/cannot list/));
    await as('other').list(pods, { namespace: 'kube-public' });
    await api.client.delete(rolebindings, 'passing', { namespace: 'kube-public' });
    await settled();
    await assert.rejects(as('other').list(pods, { namespace: 'kube-public' }), forbidden(/cannot list/));
  });

  test('as a member of a group, or as a service account', async () => {
    const subjects = [
      { kind: 'Group', name: 'staff' },
      { kind: 'ServiceAccount', name: 'robot', namespace: 'default' },
    ];
    await give('team', [podReader], subjects);
    await as('anybody', 'staff').list(pods, { namespace: 'default' });
    await as('system:serviceaccount:default:robot').list(pods, { namespace: 'default' });
    await assert.rejects(as('system:serviceaccount:other:robot').list(pods, { namespace: 'default' }));
  });

  test('only what is named where a rule names objects', async () => {
    const named = { verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'] };
    await give('named', [named], [user('cid')]);
    await api.client.create(configmaps, { metadata: { name: 'one', namespace: 'default' } });
    await as('cid').get(configmaps, 'one', 'default');
    await assert.rejects(as('cid').get(configmaps, 'two', 'default'), forbidden(/cannot get/));
  });

  test('nothing by a binding whose role is not there, and is told so', async () => {
    const roleRef = { kind: 'ClusterRole', name: 'none' };
    await api.client.create(clusterrolebindings, {
      metadata: { name: 'b' },
      roleRef,
      subjects: [user('dan')],
    } as KubeObject);
    await settled();
    const text = /: RBAC: clusterrole.rbac.authorization.k8s.io "none" not found$/;
    await assert.rejects(as('dan').list(pods), forbidden(text));
  });
});

describe('who gives rights', () => {
  test('must hold them, or may escalate', async () => {
    const writer = { verbs: ['create', 'update'], apiGroups: [rbacResources.roles.group], resources: ['roles'] };
    await give('role-writer', [writer, podReader], [user('fay')]);
    const fay = as('fay');
    const role = (name: string, rules: PolicyRule[]) =>
      ({ metadata: { name, namespace: 'default' }, rules }) as KubeObject;
    await fay.create(roles, role('held', [podReader]));
    const more = [{ ...podReader, verbs: ['get', 'delete', 'watch'] }];
    const lines =
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "fay" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
      '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}';
    await assert.rejects(fay.create(roles, role('more', more)), (error: SampanError) => {
      assert.equal(error.message, lines);
      return isReason(error, 'Forbidden');
    });
    await give('escalator', [{ ...writer, verbs: ['escalate'] }], [user('fay')]);
    await fay.create(roles, role('more', more));
  });

  test('must hold what a binding gives, or may bind that role', async () => {
    const binder = { verbs: ['create'], apiGroups: [rbacResources.roles.group], resources: ['rolebindings'] };
    await give('binder', [binder], [user('gus')]);
    const binding = (name: string) =>
      ({
        metadata: { name, namespace: 'default' },
        roleRef: { kind: 'ClusterRole', name: 'cluster-admin' },
        subjects: [user('gus')],
      }) as KubeObject;
    await assert.rejects(as('gus').create(rolebindings, binding('mine')), forbidden(/permissions not currently held/));
    const bind = { verbs: ['bind'], apiGroups: [rbacResources.roles.group], resources: ['clusterroles'] };
    await give('binds', [{ ...bind, resourceNames: ['cluster-admin'] }], [user('gus')]);
    await as('gus').create(rolebindings, binding('mine'));
    await settled();
    await as('gus').create(pods, testPod('as-admin-of-default'));
  });

  test('must be cluster admin to aggregate', async () => {
    const rules = [{ verbs: ['create'], apiGroups: [rbacResources.roles.group], resources: ['clusterroles'] }];
    await api.client.create(clusterroles, { metadata: { name: 'role-makers' }, rules } as KubeObject);
    const roleRef = { kind: 'ClusterRole', name: 'role-makers' };
    await api.client.create(clusterrolebindings, {
      metadata: { name: 'hal' },
      roleRef,
      subjects: [user('hal')],
    } as KubeObject);
    await settled();
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] };
    await assert.rejects(
      as('hal').create(clusterroles, { metadata: { name: 'all' }, aggregationRule } as KubeObject),
      forbidden(/must have cluster-admin privileges to use the aggregationRule$/),
    );
  });

  test('may not point a binding elsewhere', async () => {
    const binding = await api.client.get<RoleBinding & KubeObject>(rolebindings, 'reader', 'default');
    const roleRef = { ...binding.roleRef, name: 'other' };
    await assert.rejects(api.client.update(rolebindings, { ...binding, roleRef }), (error: SampanError) => {
      assert.match(error.message, /roleRef: Invalid value: .*: cannot change roleRef$/);
      return isReason(error, 'Invalid');
    });
  });
});

describe('the roles that are there from the start', () => {
  test('are mended at the next start, and what was added to them stays', async () => {
    const role = await api.client.get<ClusterRole & KubeObject>(clusterroles, 'system:basic-user');
    const added = { verbs: ['get'], apiGroups: ['example.com'], resources: ['gadgets'] };
    await api.client.update(clusterroles, { ...role, rules: [added] });
    await api.client.delete(clusterrolebindings, 'system:basic-user');
    const left = await api.client.get<ClusterRole & KubeObject>(clusterroles, 'system:aggregate-to-admin');
    const annotations = { ...left.metadata?.annotations, 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
    await api.client.update(clusterroles, { ...left, metadata: { ...left.metadata, annotations }, rules: [added] });

    await using again = await startTestApi({ store: sharedStore(api.store) });
    const mended = await again.client.get<ClusterRole & KubeObject>(clusterroles, 'system:basic-user');
    assert.deepEqual(
      mended.rules?.map(({ resources: [first] = [] }) => first),
      ['gadgets', 'selfsubjectaccessreviews', 'selfsubjectreviews'],
    );
    await again.client.get(clusterrolebindings, 'system:basic-user');
    const untouched = await again.client.get<ClusterRole & KubeObject>(clusterroles, 'system:aggregate-to-admin');
    assert.deepEqual(untouched.rules, [added]);
  });

  test('are not written again when nothing is amiss', async () => {
    const before = await api.store.revision();
    await using again = await startTestApi({ store: sharedStore(api.store) });
    assert.equal(await again.store.revision(), before);
  });
});

test('an aggregated role has the rules of all that are labelled for it, and loses them with the label', async () => {
  const controller = new ClusterRoleAggregation({
    client: as('system:serviceaccount:kube-system:clusterrole-aggregation-controller'),
    log: silentLogger,
    clock: systemClock,
  });
  await controller.start();
  try {
    await eventually(async () => ((await roleNamed('view')).rules ?? []).length > 5);
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
    const rules = [{ verbs: ['get'], apiGroups: ['example.com'], resources: ['widgets'] }];
    await api.client.create(clusterroles, { metadata: { name: 'widgets', labels }, rules } as KubeObject);
    const seesWidgets = async (name: string) =>
      ((await roleNamed(name)).rules ?? []).some((rule) => rule.resources?.includes('widgets'));
    await eventually(() => seesWidgets('admin'));
    await api.client.delete(clusterroles, 'widgets');
    await eventually(async () => !(await seesWidgets('admin')));
  } finally {
    await controller.close();
  }
});

const roleNamed = (name: string) => api.client.get<ClusterRole & KubeObject>(clusterroles, name);

const eventually = (holds: () => Promise<boolean>): Promise<boolean> => until('it holds', holds);
