/**
 * X.509 as the platform uses it: P-256 keys in PEM, made and signed here. Owns what is asked and answered, not where it is kept. The library behind it
 * takes megabytes of memory and is seldom needed, so it is loaded at the first call.
 */

/** Both in PEM. */
export interface CertifiedKey {
  certificate: string;
  key: string;
}

export interface Subject {
  commonName: string;
  organizations?: string[];
}

export interface Issuing {
  subject: Subject;
  notBeforeMs: number;
  lifetimeMs: number;
}

export interface LeafOptions extends Issuing {
  ca: CertifiedKey;
  use: 'server' | 'client';
  /** DNS names and IP addresses a server certificate is good for. */
  names?: string[];
  addresses?: string[];
}

/** What a PKCS#10 request asks to be certified. */
export interface CertificateRequest extends Subject {
  /** Alternative names of any kind. */
  names: string[];
}

export interface RequestSigning {
  ca: CertifiedKey;
  /** PEM. */
  request: string;
  /** As in a CertificateSigningRequest's spec.usages: `client auth`, `digital signature`, `key encipherment`. */
  usages: string[];
  notBeforeMs: number;
  lifetimeMs: number;
}

const maker = () => import('./make-certificates.ts');

/** An authority that signs itself. */
export async function makeCa(options: Issuing): Promise<CertifiedKey> {
  return (await maker()).makeCa(options);
}

export async function issue(options: LeafOptions): Promise<CertifiedKey> {
  return (await maker()).issue(options);
}

/** Throws for a text that is no request, or one its key has not signed. */
export async function readRequest(pem: string): Promise<CertificateRequest> {
  return (await maker()).readRequest(pem);
}

/** A client certificate for the request's key and subject, in PEM. The key stays with whoever asks. */
export async function signRequest(options: RequestSigning): Promise<string> {
  return (await maker()).signRequest(options);
}
