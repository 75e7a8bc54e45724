/** Event (v1): something that happened to an object, counted when it happens again. */
import type { Event } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { invalid } from '../field-errors.ts';
import { dnsSubdomainProblems } from '../names.ts';
import { humanDuration, parseTime } from '../time.ts';
import { column, nameCell } from './columns.ts';
import { defineKind } from './define.ts';

type Core = Event & { reportingComponent?: string; reportingInstance?: string };

export const eventKind = defineKind<Core>({
  ref: resources.events,
  kind: 'Event',
  shortNames: ['ev'],
  selectableFields: {
    'involvedObject.kind': (event) => event.involvedObject?.kind ?? '',
    'involvedObject.namespace': (event) => event.involvedObject?.namespace ?? '',
    'involvedObject.name': (event) => event.involvedObject?.name ?? '',
    'involvedObject.uid': (event) => event.involvedObject?.uid ?? '',
    'involvedObject.apiVersion': (event) => event.involvedObject?.apiVersion ?? '',
    'involvedObject.resourceVersion': (event) => event.involvedObject?.resourceVersion ?? '',
    'involvedObject.fieldPath': (event) => event.involvedObject?.fieldPath ?? '',
    reason: (event) => event.reason ?? '',
    reportingComponent: (event) => event.reportingComponent ?? '',
    source: (event) => event.source?.component || event.reportingComponent || '',
    type: (event) => event.type ?? '',
  },
  columns: [
    column('Last Seen', 'Time since it last happened.'),
    column('Type', 'Normal or Warning.'),
    column('Reason', 'Why, in one word.'),
    column('Object', 'What it happened to.'),
    column('Subobject', 'The part of the object, where there is one.', { wide: true }),
    column('Source', 'Who reports it.', { wide: true }),
    column('Message', 'What happened, for people.'),
    column('First Seen', 'Time since it first happened.', { wide: true }),
    column('Count', 'How often it happened.', { wide: true }),
    column('Name', 'Name of the event.', { format: 'name', wide: true }),
  ],
  row(event, nowMs) {
    const { involvedObject: object } = event;
    const first = parseTime(event.firstTimestamp) ?? parseTime(event.eventTime);
    const last = parseTime(event.series?.lastObservedTime) ?? parseTime(event.lastTimestamp) ?? first;
    return [
      since(last, nowMs),
      event.type ?? '',
      event.reason ?? '',
      `${(object?.kind ?? '').toLowerCase()}/${object?.name ?? ''}`,
      object?.fieldPath ?? '',
      sourceOf(event),
      (event.message ?? '').trim(),
      since(first, nowMs),
      event.series?.count ?? event.count ?? 1,
      nameCell(event),
    ];
  },
  validate,
});

function since(ms: number | undefined, nowMs: number): string {
  return ms === undefined ? '<unknown>' : humanDuration(nowMs - ms);
}

function sourceOf(event: Core): string {
  const component = event.source?.component || event.reportingComponent || '';
  const host = event.source?.host || (event.source?.component ? '' : event.reportingInstance) || '';
  return host ? `${component}, ${host}` : component;
}

/** Events of cluster-scoped objects live in namespace default, others beside their object. */
function validate(event: Core): Cause[] {
  const namespace = event.metadata?.namespace ?? '';
  const about = event.involvedObject?.namespace ?? '';
  const causes: Cause[] = [];
  if (about ? about !== namespace : namespace !== 'default' && namespace !== 'kube-system') {
    causes.push(invalid('involvedObject.namespace', about, 'does not match event.namespace'));
  }
  if (namespace) {
    causes.push(...dnsSubdomainProblems(namespace).map((problem) => invalid('namespace', namespace, problem)));
  }
  return causes;
}
