/** The restricted level: the baseline, and everything set that hardens a Pod. In order of the checks' names, as they are reported. */
import type { Volume } from 'kubernetes-types/core/v1.js';
import { allowedSeccomp, seccompProfile } from './baseline.ts';
import {
  type Check,
  containersOf,
  containersText,
  type Finding,
  plural,
  quoted,
  type Subject,
  setters,
} from './check.ts';

export const restrictedChecks: Check[] = [
  { id: 'allowPrivilegeEscalation', since: 8, run: allowPrivilegeEscalation },
  { id: 'capabilities_restricted', since: 22, overrides: 'capabilities_baseline', run: capabilities },
  { id: 'restrictedVolumes', since: 0, overrides: 'hostPathVolumes', run: volumes },
  { id: 'runAsNonRoot', since: 0, run: runAsNonRoot },
  { id: 'runAsUser', since: 23, run: runAsUser },
  { id: 'seccompProfile_restricted', since: 19, overrides: 'seccompProfile_baseline', run: seccomp },
];

const namesOf = (views: { name: string }[]): string[] => views.map(({ name }) => name);

function allowPrivilegeEscalation({ spec }: Subject): Finding | undefined {
  const bad = namesOf(containersOf(spec).filter(({ context }) => context.allowPrivilegeEscalation !== false));
  if (bad.length === 0) return undefined;
  const detail = `${containersText(bad)} must set securityContext.allowPrivilegeEscalation=false`;
  return { reason: 'allowPrivilegeEscalation != false', detail };
}

function capabilities({ spec }: Subject): Finding | undefined {
  const all = containersOf(spec);
  const keeping = namesOf(all.filter(({ context }) => !context.capabilities?.drop?.includes('ALL')));
  const extra = (add: string[] = []) => add.filter((one) => one !== 'NET_BIND_SERVICE');
  const adding = all.filter(({ context }) => extra(context.capabilities?.add).length > 0);
  const added = [...new Set(adding.flatMap(({ context }) => extra(context.capabilities?.add)))].sort();
  const details = [
    ...(keeping.length > 0 ? [`${containersText(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding.length > 0
      ? [`${containersText(namesOf(adding))} must not include ${quoted(added)} in securityContext.capabilities.add`]
      : []),
  ];
  return details.length > 0 ? { reason: 'unrestricted capabilities', detail: details.join('; ') } : undefined;
}

const allowedVolumes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
];

function volumes({ spec }: Subject): Finding | undefined {
  const typeOf = (volume: Volume) => Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir';
  const bad = (spec.volumes ?? []).filter((volume) => !allowedVolumes.includes(typeOf(volume)));
  if (bad.length === 0) return undefined;
  const types = [...new Set(bad.map(typeOf))].sort();
  const who = `${plural('volume', 'volumes', bad.length)} ${quoted(namesOf(bad))} ${plural('uses', 'use', bad.length)}`;
  const what = `restricted volume ${plural('type', 'types', types.length)} ${quoted(types)}`;
  return { reason: 'restricted volume types', detail: `${who} ${what}` };
}

function runAsNonRoot({ spec }: Subject): Finding | undefined {
  const reason = 'runAsNonRoot != true';
  const ofPod = spec.securityContext?.runAsNonRoot;
  const all = containersOf(spec);
  const explicit = namesOf(all.filter(({ context }) => context.runAsNonRoot === false));
  if (ofPod === false || explicit.length > 0) {
    return { reason, detail: `${setters(ofPod === false, explicit)} must not set securityContext.runAsNonRoot=false` };
  }
  const silent = ofPod ? [] : namesOf(all.filter(({ context }) => context.runAsNonRoot === undefined));
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${containersText(silent)} must set securityContext.runAsNonRoot=true` };
}

function runAsUser({ spec }: Subject): Finding | undefined {
  const ofPod = spec.securityContext?.runAsUser === 0;
  const bad = namesOf(containersOf(spec).filter(({ context }) => context.runAsUser === 0));
  if (!ofPod && bad.length === 0) return undefined;
  return { reason: 'runAsUser=0', detail: `${setters(ofPod, bad)} must not set runAsUser=0` };
}

function seccomp(subject: Subject): Finding | undefined {
  const forbidden = seccompProfile(subject);
  if (forbidden) return forbidden;
  const { spec } = subject;
  if (allowedSeccomp(spec.securityContext?.seccompProfile?.type)) return undefined;
  const silent = namesOf(containersOf(spec).filter(({ context }) => context.seccompProfile?.type === undefined));
  if (silent.length === 0) return undefined;
  const what = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
  return { reason: 'seccompProfile', detail: `pod or ${containersText(silent)} ${what}` };
}
