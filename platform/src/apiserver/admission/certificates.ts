/**
 * Plugins CertificateSubjectRestriction, CertificateApproval and CertificateSigning, and the parts of a request that are the server's to
 * write: who asks, and when its conditions were set.
 */

import { isDeepStrictEqual } from 'node:util';
import { resources } from '@sampan/api/client.ts';
import type { CertificateSigningRequest } from 'kubernetes-types/certificates/v1.js';
import { type Clock, toTime } from '../../base/clock.ts';
import type { Authorizer } from '../auth/authorizer.ts';
import { masters } from '../auth/user.ts';
import { badRequest, forbidden } from '../meta/failures.ts';
import { readRequest } from '../pki/certificates.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const { group, resource } = resources.certificatesigningrequests;
const clientSigner = 'kubernetes.io/kube-apiserver-client';

export function certificateAdmission({ authorizer, clock }: { authorizer: Authorizer; clock: Clock }): AdmissionPlugin {
  return {
    name: 'Certificates',
    mutate(request) {
      if (!isAboutRequests(request)) return;
      const object = request.object as CertificateSigningRequest;
      if (request.operation === 'CREATE') stampRequester(object, request);
      else stampConditions(object, toTime(clock.now()));
    },
    async validate(request) {
      if (!isAboutRequests(request)) return;
      if (request.operation === 'CREATE') return checkSubject(request);
      const { spec, status } = request.object as CertificateSigningRequest;
      const verb = { approval: 'approve', status: 'sign' }[request.subresource];
      const before = (request.old as CertificateSigningRequest | undefined)?.status;
      if (!verb || isDeepStrictEqual(status, before)) return;
      if (await mayUse(authorizer, { verb, signer: spec.signerName, request })) return;
      throw forbidden(
        request.kind.ref,
        request.name,
        `user not permitted to ${verb} requests with signerName ${JSON.stringify(spec.signerName)}`,
      );
    },
  };
}

function isAboutRequests({ kind, operation }: AdmissionRequest): boolean {
  const isWrite = operation === 'CREATE' || operation === 'UPDATE';
  return isWrite && kind.ref.group === group && kind.ref.resource === resource;
}

function stampRequester({ spec }: CertificateSigningRequest, { user }: AdmissionRequest): void {
  const { name, uid, groups, extra } = user;
  Object.assign(spec, { username: name, groups, uid, extra });
}

function stampConditions({ status }: CertificateSigningRequest, now: string): void {
  for (const condition of status?.conditions ?? []) {
    const times = condition as { lastUpdateTime?: string; lastTransitionTime?: string };
    times.lastUpdateTime ??= now;
    times.lastTransitionTime ??= now;
  }
}

async function checkSubject({ object, kind, name }: AdmissionRequest): Promise<void> {
  const { spec } = object as CertificateSigningRequest;
  const { organizations } = await readRequest(Buffer.from(spec.request, 'base64').toString()).catch((error: Error) => {
    throw badRequest(`unable to parse csr: ${error.message}`);
  });
  if (spec.signerName !== clientSigner || !organizations?.includes(masters)) return;
  throw forbidden(kind.ref, name, `use of ${clientSigner} signer with system:masters group is not allowed`);
}

/** Signers are named one by one or by their domain: `example.com/*`. */
async function mayUse(
  authorizer: Authorizer,
  { verb, signer, request }: { verb: string; signer: string; request: AdmissionRequest },
): Promise<boolean> {
  const where = { user: request.user, verb, group, version: 'v1', resource: 'signers', subresource: '', namespace: '' };
  for (const name of [signer, `${signer.split('/')[0]}/*`]) {
    if ((await authorizer.authorize({ ...where, name })).allowed) return true;
  }
  return false;
}
