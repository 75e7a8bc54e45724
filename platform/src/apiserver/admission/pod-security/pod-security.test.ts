import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { deploymentKind } from '@sampan/api/kinds/apps/deployment.ts';
import { namespaceKind } from '@sampan/api/kinds/namespace.ts';
import { podKind } from '@sampan/api/kinds/pod/pod.ts';
import { podTemplateKind } from '@sampan/api/kinds/pod-template.ts';
import type { PodSpec } from 'kubernetes-types/core/v1.js';
import type { AdmissionRequest } from '../admission.ts';
import { podSecurity } from './pod-security.ts';
import { violations } from './policy.ts';

const spec = (change: object = {}, container: object = {}): PodSpec => ({
  containers: [{ name: 'a', image: 'i', ...container }],
  ...change,
});
const against = (level: 'baseline' | 'restricted', podSpec: PodSpec, version = 'latest', annotations = {}) =>
  violations({ level, version }, { annotations, spec: podSpec });

const hardened = {
  securityContext: {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
    seccompProfile: { type: 'RuntimeDefault' },
  },
};

describe('the baseline forbids', () => {
  const cases: [string, PodSpec, string][] = [
    ['host namespaces', spec({ hostNetwork: true, hostIPC: true }), 'host namespaces (hostNetwork=true, hostIPC=true)'],
    [
      'privileged containers',
      spec(
        { initContainers: [{ name: 'b', securityContext: { privileged: true } }] },
        { securityContext: { privileged: true } },
      ),
      'privileged (containers "b", "a" must not set securityContext.privileged=true)',
    ],
    [
      'capabilities beyond the default',
      spec({}, { securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN', 'BPF'] } } }),
      'non-default capabilities (container "a" must not include "BPF", "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    ['hostPath volumes', spec({ volumes: [{ name: 'v', hostPath: { path: '/' } }] }), 'hostPath volumes (volume "v")'],
    [
      'host ports',
      spec({}, { ports: [{ containerPort: 1, hostPort: 80 }] }),
      'hostPort (container "a" uses hostPort 80)',
    ],
    [
      'AppArmor off',
      spec({ securityContext: { appArmorProfile: { type: 'Unconfined' } } }),
      'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
    ],
    [
      'SELinux of a kind',
      spec({ securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u' } } }),
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ],
    [
      'an unmasked /proc',
      spec({}, { securityContext: { procMount: 'Unmasked' } }),
      'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      'seccomp off',
      spec({ securityContext: { seccompProfile: { type: 'Unconfined' } } }),
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      'sysctls',
      spec({ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }),
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      'Windows host processes',
      spec({ securityContext: { windowsOptions: { hostProcess: true } } }),
      'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
    ],
  ];
  for (const [what, podSpec, message] of cases) test(what, () => assert.equal(against('baseline', podSpec), message));

  test('nothing of an ordinary Pod', () => assert.equal(against('baseline', spec()), undefined));

  test('sysctls by the version that is asked for', () => {
    const podSpec = spec({ securityContext: { sysctls: [{ name: 'net.ipv4.tcp_fin_timeout', value: '1' }] } });
    assert.equal(against('baseline', podSpec, 'v1.28'), 'forbidden sysctls (net.ipv4.tcp_fin_timeout)');
    assert.equal(against('baseline', podSpec, 'v1.29'), undefined);
  });
});

describe('the restricted level wants', () => {
  test('a Pod to say that it is harmless', () => {
    assert.equal(
      against('restricted', spec()),
      'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
    assert.equal(against('restricted', spec({}, hardened)), undefined);
  });

  test('no root, no host paths and no other capabilities', () => {
    const context = { ...hardened.securityContext, runAsUser: 0, capabilities: { drop: ['ALL'], add: ['CHOWN'] } };
    const podSpec = spec({ volumes: [{ name: 'v', hostPath: { path: '/' } }] }, { securityContext: context });
    assert.equal(
      against('restricted', podSpec),
      'unrestricted capabilities (container "a" must not include "CHOWN" in securityContext.capabilities.add), ' +
        'restricted volume types (volume "v" uses restricted volume type "hostPath"), ' +
        'runAsUser=0 (container "a" must not set runAsUser=0)',
    );
    assert.match(
      against('restricted', spec({ securityContext: { runAsNonRoot: false } }, hardened)) ?? '',
      /pod must not set securityContext.runAsNonRoot=false/,
    );
  });
});

interface Asked {
  kind: Kind;
  object: object;
  old?: object;
  labels?: Record<string, string>;
  pods?: object[];
}

/** Returns the warnings. */
async function admit({ kind, object, old, labels = {}, pods = [] }: Asked): Promise<string[]> {
  const warnings: string[] = [];
  await podSecurity.validate?.({
    operation: old ? 'UPDATE' : 'CREATE',
    kind,
    subresource: '',
    namespace: kind.ref.namespaced ? 'ns' : undefined,
    name: 'x',
    object: object as KubeObject,
    old,
    reader: {
      get: (ref: { resource: string }) =>
        ref.resource === resources.namespaces.resource ? { metadata: { labels } } : undefined,
      list: () => pods,
    },
    warn: (text: string) => warnings.push(text),
  } as unknown as AdmissionRequest);
  return warnings;
}

const label = (mode: string, level: string) => ({ [`pod-security.kubernetes.io/${mode}`]: level });
const bad = { metadata: { name: 'x' }, spec: spec({}, { securityContext: { privileged: true } }) };
const found = 'privileged (container "a" must not set securityContext.privileged=true)';

describe('a namespace that', () => {
  test('enforces a level refuses Pods that violate it', async () => {
    await assert.rejects(
      admit({ kind: podKind, object: bad, labels: label('enforce', 'baseline') }),
      (error: SampanError) => {
        assert.equal(error.message, `pods "x" is forbidden: violates PodSecurity "baseline:latest": ${found}`);
        return isReason(error, 'Forbidden');
      },
    );
    const labels = { ...label('enforce', 'baseline'), ...label('enforce-version', 'v1.30') };
    await assert.rejects(admit({ kind: podKind, object: bad, labels }), /violates PodSecurity "baseline:v1.30"/);
    assert.deepEqual(await admit({ kind: podKind, object: bad, labels: label('enforce', 'privileged') }), []);
    assert.deepEqual(await admit({ kind: podKind, object: bad }), []);
  });

  test('enforces a level lets a Pod it already has be labelled, but not run another image', async () => {
    const labels = label('enforce', 'baseline');
    const labelled = { ...bad, metadata: { name: 'x', labels: { a: 'b' } } };
    assert.deepEqual(await admit({ kind: podKind, object: labelled, old: bad, labels }), []);
    const other = { ...bad, spec: spec({}, { image: 'j', securityContext: { privileged: true } }) };
    await assert.rejects(admit({ kind: podKind, object: other, old: bad, labels }), /violates PodSecurity/);
  });

  test('warns of a level lets all in and tells, of templates too', async () => {
    const labels = label('warn', 'baseline');
    const warning = `would violate PodSecurity "baseline:latest": ${found}`;
    assert.deepEqual(await admit({ kind: podKind, object: bad, labels }), [warning]);
    const deployment = { metadata: { name: 'x' }, spec: { template: { spec: bad.spec } } };
    assert.deepEqual(await admit({ kind: deploymentKind, object: deployment, labels }), [warning]);
    const bare = { metadata: { name: 'x' }, template: { spec: bad.spec } };
    assert.deepEqual(await admit({ kind: podTemplateKind, object: bare, labels }), [warning]);
    assert.deepEqual(
      await admit({ kind: deploymentKind, object: deployment, labels: label('enforce', 'baseline') }),
      [],
    );
  });

  test('begins to enforce is told which of its Pods violate the level', async () => {
    const object = { metadata: { name: 'x', labels: label('enforce', 'baseline') } };
    const pods = ['p', 'q', 'r'].map((name) => ({ ...bad, metadata: { name } }));
    assert.deepEqual(await admit({ kind: namespaceKind, object, old: { metadata: { name: 'x' } }, pods }), [
      'existing pods in namespace "x" violate the new PodSecurity enforce level "baseline:latest"',
      `p (and 2 other pods): ${found}`,
    ]);
    assert.deepEqual(await admit({ kind: namespaceKind, object, old: object, pods }), []);
  });

  test('asks for a level nobody knows is refused', async () => {
    const labels = { ...label('enforce', 'strict'), ...label('warn-version', '1.30') };
    await assert.rejects(
      admit({ kind: namespaceKind, object: { metadata: { name: 'x', labels } } }),
      (error: SampanError) => {
        assert.equal(
          error.message,
          'Namespace "x" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, ' +
            'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.30": must be "latest" or "v1.x"]',
        );
        return isReason(error, 'Invalid');
      },
    );
  });
});
