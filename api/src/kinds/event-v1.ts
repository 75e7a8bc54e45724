/**
 * Event of events.k8s.io/v1: the same stored objects as core's Events under newer names, so that whoever writes one way is seen the
 * other. New ones must say more than core asks (validation.ValidateEventCreate).
 */
import type { Event as CoreEvent } from 'kubernetes-types/core/v1.js';
import type { Event } from 'kubernetes-types/events/v1.js';
import type { KubeObject, ResourceRef } from '../client.ts';
import type { Cause } from '../errors.ts';
import { checkEnum, forbidden, invalid, invalidFor, required, tooLong } from '../field-errors.ts';
import { equalJson } from '../json.ts';
import { qualifiedNameProblems } from '../names.ts';
import { defineKind } from './define.ts';
import { eventKind } from './event.ts';
import { immutableMessage, utf8Length } from './metadata.ts';

export const events = {
  group: 'events.k8s.io',
  version: 'v1',
  resource: 'events',
  namespaced: true,
} as const satisfies ResourceRef;

type EventObject = Event & KubeObject;
type CoreObject = CoreEvent & KubeObject;

const maxNoteBytes = 1024;
const maxInstanceBytes = 128;

/** [this version's name, core's name] of what the two call differently. */
const renamed = [
  ['note', 'message'],
  ['regarding', 'involvedObject'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedCount', 'count'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedSource', 'source'],
] as const;

function read(stored: KubeObject): KubeObject {
  const core: Record<string, unknown> = { ...stored };
  const shown: Record<string, unknown> = { apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: stored.metadata };
  for (const [ours, theirs] of renamed) {
    if (core[theirs] !== undefined) shown[ours] = core[theirs];
    delete core[theirs];
  }
  return Object.freeze({ ...core, ...shown });
}

function write(event: KubeObject): KubeObject {
  const rest: Record<string, unknown> = { ...event };
  const core: Record<string, unknown> = { apiVersion: 'v1', kind: 'Event' };
  for (const [ours, theirs] of renamed) {
    if (rest[ours] !== undefined) core[theirs] = rest[ours];
    delete rest[ours];
  }
  return { involvedObject: {}, ...rest, ...core } as KubeObject;
}

const asCore = (event: KubeObject): CoreObject => write(event) as CoreObject;

export const eventV1Kind = defineKind<EventObject>({
  ref: events,
  kind: 'Event',
  shortNames: eventKind.shortNames,
  selectableFields: Object.fromEntries(
    Object.entries(eventKind.selectableFields).map(([field, value]) => [
      field.replace('involvedObject', 'regarding').replace('reportingComponent', 'reportingController'),
      (event: EventObject) => value(asCore(event)),
    ]),
  ),
  columns: eventKind.columns,
  row: (event, nowMs) => eventKind.row(asCore(event), nowMs),
  validate: (event) => [...validateNamespace(event), ...validateNew(event)],
  validateUpdate: (event, old) => [...validateNamespace(event), ...(isOfOurs(old) ? validateChange(event, old) : [])],
  stored: { read: (stored) => read(stored) as EventObject, write: (event) => write(event) as EventObject },
});

/** Events of core's writers have no eventTime, and may change as core lets them. */
const isOfOurs = (event: Event): boolean => Boolean(event.eventTime);

function validateNamespace({ metadata, regarding }: Event): Cause[] {
  const [namespace, about] = [metadata?.namespace ?? '', regarding?.namespace ?? ''];
  if (about ? about === namespace : namespace === 'default' || namespace === 'kube-system') return [];
  return [invalid('involvedObject.namespace', about, 'does not match event.namespace')];
}

function validateNew(event: Event): Cause[] {
  const { reportingController = '', reportingInstance = '', action = '', reason = '', note = '' } = event;
  const causes: Cause[] = [];
  if (!event.eventTime) causes.push(required('eventTime'));
  if (!reportingController) causes.push(required('reportingController'));
  else {
    const problems = qualifiedNameProblems(reportingController);
    causes.push(...invalidFor('reportingController', reportingController, problems));
  }
  for (const [field, value] of Object.entries({ reportingInstance, action, reason })) {
    if (!value) causes.push(required(field));
    else if (utf8Length(value) > maxInstanceBytes) causes.push(tooLong(field, maxInstanceBytes));
  }
  if (utf8Length(note) > maxNoteBytes) causes.push(tooLong('note', maxNoteBytes));
  causes.push(...checkEnum('type', event.type, ['Normal', 'Warning']));
  for (const field of ['deprecatedCount', 'deprecatedFirstTimestamp', 'deprecatedLastTimestamp'] as const) {
    if (event[field]) causes.push(forbidden(field, 'needs to be unset'));
  }
  if (event.deprecatedSource && Object.keys(event.deprecatedSource).length > 0) {
    causes.push(forbidden('deprecatedSource', 'needs to be unset'));
  }
  return causes;
}

/** What has happened has happened: only how often may change. */
function validateChange(event: Event, old: Event): Cause[] {
  const fixed = [
    'regarding',
    'related',
    'reportingController',
    'reportingInstance',
    'action',
    'reason',
    'note',
    'type',
  ];
  const [now, before] = [event, old].map((one) => one as unknown as Record<string, unknown>) as [
    Record<string, unknown>,
    Record<string, unknown>,
  ];
  return [...fixed, 'eventTime']
    .filter((field) => !equalJson(now[field], before[field]))
    .map((field) => invalid(field, now[field] ?? null, immutableMessage));
}
