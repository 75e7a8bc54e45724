/**
 * CertificateSigningRequest: somebody asks for a certificate, somebody approves, a signer signs (pkg/apis/certificates). Who asked is
 * the server's to say: admission writes it into spec, and nothing of spec changes afterwards.
 */
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from 'kubernetes-types/certificates/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { duplicate, forbidden, invalid, notSupported, required } from '../field-errors.ts';
import { equalJson } from '../json.ts';
import type { Target } from '../kind.ts';
import { dnsSubdomainProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind, take } from './define.ts';

const decisions = ['Approved', 'Denied'];

export const certificateSigningRequestKind = defineKind<CertificateSigningRequest>({
  ref: resources.certificatesigningrequests,
  kind: 'CertificateSigningRequest',
  shortNames: ['csr'],
  subresources: ['status', 'approval'],
  selectableFields: { 'spec.signerName': (request) => request.spec?.signerName ?? '' },
  columns: [
    nameColumn,
    ageColumn,
    column('SignerName', 'Whose signature is asked for.'),
    column('Requestor', 'Who asks.'),
    column('RequestedDuration', 'How long the certificate shall be good.'),
    column('Condition', 'How far it has come.'),
  ],
  row: (request, nowMs) => [
    nameCell(request),
    ageCell(request, nowMs),
    request.spec?.signerName ?? '',
    request.spec?.username ?? '',
    durationCell(request.spec?.expirationSeconds),
    conditionCell(request),
  ],
  prepareCreate(request) {
    delete request.status;
  },
  prepareUpdate,
  validate,
  validateUpdate: (request, old, target) => [...validate(request), ...validateConditions(request, old, target)],
});

function durationCell(seconds: number | undefined): string {
  if (seconds === undefined) return '<none>';
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
  ];
  const [size, unit] = units.find(([size]) => seconds >= 2 * size) ?? [1, 's'];
  return `${Math.floor(seconds / size)}${unit}`;
}

function conditionCell({ status }: CertificateSigningRequest): string {
  const types = (status?.conditions ?? []).map(({ type }) => type);
  const shown = ['Denied', 'Approved', 'Failed'].filter((type) => types.includes(type));
  return [...(shown.length > 0 ? shown : ['Pending']), ...(status?.certificate ? ['Issued'] : [])].join(',');
}

function prepareUpdate(request: CertificateSigningRequest, old: CertificateSigningRequest, target: Target): void {
  take(request, old, 'spec');
  if (target === 'object') take(request, old, 'status');
  if (target !== 'approval') return;
  request.status = { ...old.status, conditions: request.status?.conditions };
}

const usages = [
  'signing',
  'digital signature',
  'content commitment',
  'key encipherment',
  'key agreement',
  'data encipherment',
  'cert sign',
  'crl sign',
  'encipher only',
  'decipher only',
  'any',
  'server auth',
  'client auth',
  'code signing',
  'email protection',
  's/mime',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'timestamping',
  'ocsp signing',
  'microsoft sgc',
  'netscape sgc',
];
const leastSeconds = 600;

function validate({ spec }: CertificateSigningRequest): Cause[] {
  const causes: Cause[] = [];
  if (!isRequest(spec?.request ?? '')) {
    causes.push(invalid('spec.request', spec?.request ?? '', 'PEM block type must be CERTIFICATE REQUEST'));
  }
  const asked = spec?.usages ?? [];
  if (asked.length === 0) causes.push(required('spec.usages'));
  for (const [i, usage] of asked.entries()) {
    if (!usages.includes(usage)) causes.push(notSupported(`spec.usages[${i}]`, usage, usages));
    else if (asked.indexOf(usage) < i) causes.push(duplicate(`spec.usages[${i}]`, usage));
  }
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds < leastSeconds) {
    const detail = 'may not specify a duration less than 600 seconds (10 minutes)';
    causes.push(invalid('spec.expirationSeconds', seconds, detail));
  }
  return [...causes, ...validateSigner(spec?.signerName ?? '')];
}

/** One PEM block; what is in it, whoever signs has to read. */
function isRequest(base64: string): boolean {
  const begin = '-----BEGIN CERTIFICATE REQUEST-----';
  try {
    const text = atob(base64).trim();
    return (
      text.startsWith(begin) && text.endsWith('-----END CERTIFICATE REQUEST-----') && text.lastIndexOf(begin) === 0
    );
  } catch {
    return false;
  }
}

function validateSigner(name: string): Cause[] {
  const field = 'spec.signerName';
  if (!name) return [required(field)];
  if (name === 'kubernetes.io/legacy-unknown') {
    return [invalid(field, name, 'the legacy signerName is not allowed via this API version')];
  }
  const [domain = '', path = '', ...more] = name.split('/');
  if (!path || more.length > 0 || !domain.includes('.')) {
    return [invalid(field, name, 'must be a fully qualified domain and path of the form "example.com/signer-name"')];
  }
  return [...dnsSubdomainProblems(domain), ...dnsSubdomainProblems(path)].map((problem) =>
    invalid(field, name, problem),
  );
}

const statuses = ['True', 'False', 'Unknown'];

function validateConditions(
  { status }: CertificateSigningRequest,
  old: CertificateSigningRequest,
  target: Target,
): Cause[] {
  const causes: Cause[] = [];
  const field = 'status.conditions';
  const conditions = status?.conditions ?? [];
  const seen = new Set<string>();
  for (const [i, condition] of conditions.entries()) {
    if (!condition.type) causes.push(required(`${field}[${i}].type`));
    if (!condition.status) causes.push(required(`${field}[${i}].status`));
    else if (['Approved', 'Denied', 'Failed'].includes(condition.type) && condition.status !== 'True') {
      causes.push(notSupported(`${field}[${i}].status`, condition.status, ['True']));
    } else if (!statuses.includes(condition.status)) {
      causes.push(notSupported(`${field}[${i}].status`, condition.status, statuses));
    }
    if (seen.has(condition.type)) causes.push(duplicate(`${field}[${i}].type`, condition.type));
    seen.add(condition.type);
  }
  if (seen.has('Approved') && seen.has('Denied')) {
    causes.push(invalid(`${field}`, 'Denied', 'Approved and Denied conditions are mutually exclusive'));
  }
  return target === 'object' ? causes : [...causes, ...validateKept(conditions, old, target)];
}

/** A decision stands once it is made; only the approval subresource makes one, and only status says how signing went. */
function validateKept(
  conditions: CertificateSigningRequestCondition[],
  old: CertificateSigningRequest,
  target: Target,
): Cause[] {
  const of = (list: CertificateSigningRequestCondition[], type: string) => list.filter((one) => one.type === type);
  const before = old.status?.conditions ?? [];
  return [...decisions, 'Failed'].flatMap((type) => {
    const [was, is] = [of(before, type), of(conditions, type)];
    if (equalJson(was, is)) return [];
    if (was.length > 0) {
      const what = is.length === 0 ? 'remove' : 'modify';
      return [forbidden('status.conditions', `updates may not ${what} a condition of type "${type}"`)];
    }
    const isDecision = decisions.includes(type);
    if (isDecision === (target === 'approval')) return [];
    return [forbidden('status.conditions', `updates may not add a condition of type "${type}"`)];
  });
}
