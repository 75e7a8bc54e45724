/**
 * The platform's keys and certificates, kept in one directory and made where they are missing.
 *
 * Owns: the cluster CA (what clients trust), the client CA (whom the server trusts), the serving certificate (renewed when near its
 * end or when the addresses change), the admin's client certificate and token, the service accounts' signing key. Where several servers
 * share a store, authorities, signing key and token are settled there (shared-secrets.ts); the directory then holds this server's copy.
 * Does not own: kubeconfigs (kubeconfig.ts), tokens' contents (auth/service-account-tokens.ts).
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { ensureDirectory, readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { randomHex } from '../../base/ids.ts';
import { type CertifiedKey, issue, makeCa, type Subject, signRequest } from './certificates.ts';
import type { SharedSecrets } from './shared-secrets.ts';

const dayMs = 86_400_000;
const caLifetimeMs = 3650 * dayMs;
const leafLifetimeMs = 365 * dayMs;
const renewBeforeMs = 60 * dayMs;

export interface PkiOptions {
  directory: string;
  /** IP addresses the serving certificate is for; loopback is always among them. */
  addresses: string[];
  /** DNS names the serving certificate is for; localhost and kubernetes.default.svc are always among them. */
  names: string[];
  clock?: Clock;
  /** With several servers: where they agree. */
  shared?: SharedSecrets;
}

export interface Pki {
  /** PEM: what clients verify the server with. */
  caCertificate: string;
  /** PEM: what the server verifies client certificates with. */
  clientCaCertificate: string;
  /** The certificate to serve now; made anew when it nears its end. */
  serving(): Promise<CertifiedKey>;
  /** A certificate for `system:masters`, renewed like the serving one. */
  adminClient(): Promise<CertifiedKey>;
  issueClient(subject: Subject, lifetimeMs?: number): Promise<CertifiedKey>;
  /** Signs a PKCS#10 request (PEM) of a client who keeps his key: what a CertificateSigningRequest is answered with. PEM. */
  signClient(request: string, usages: string[], lifetimeMs: number): Promise<string>;
  /** PKCS#8 PEM, P-256: signs service-account tokens. */
  serviceAccountKey: string;
  adminToken: string;
}

export async function openPki(options: PkiOptions): Promise<Pki> {
  const { directory, clock = systemClock, shared } = options;
  await ensureDirectory(directory, 0o700);
  const authority = (file: string, commonName: string) =>
    agreed(directory, file, shared, async () =>
      makeCa({ subject: { commonName }, notBeforeMs: clock.now(), lifetimeMs: caLifetimeMs }),
    );
  const ca = await authority('ca', 'sampan-ca');
  const clientCa = await authority('client-ca', 'sampan-client-ca');
  const signer = await authority('service-account', 'sampan-service-accounts');

  const issueClient: Pki['issueClient'] = (subject, lifetimeMs = leafLifetimeMs) =>
    issue({ ca: clientCa, use: 'client', subject, notBeforeMs: clock.now(), lifetimeMs });
  const names = [
    ...new Set([
      'localhost',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
      ...options.names,
    ]),
  ];
  const addresses = [...new Set(['127.0.0.1', '::1', ...options.addresses])];
  const issueServing = () =>
    issue({
      ca,
      use: 'server',
      subject: { commonName: 'sampan-apiserver' },
      names,
      addresses,
      notBeforeMs: clock.now(),
      lifetimeMs: leafLifetimeMs,
    });
  const fits = (pem: string) => names.concat(addresses).every((name) => covers(pem, name));

  return {
    caCertificate: ca.certificate,
    clientCaCertificate: clientCa.certificate,
    serving: () => kept(directory, 'serving', issueServing, (pem) => isCurrent(pem, ca, clock.now()) && fits(pem)),
    adminClient: () =>
      kept(
        directory,
        'admin',
        () => issueClient({ commonName: 'admin', organizations: ['system:masters'] }),
        (pem) => isCurrent(pem, clientCa, clock.now()),
      ),
    issueClient,
    signClient: (request, usages, lifetimeMs) =>
      signRequest({ ca: clientCa, request, usages, notBeforeMs: clock.now(), lifetimeMs }),
    serviceAccountKey: signer.key,
    adminToken: await adminToken(directory, shared),
  };
}

/** The pair in `<file>.crt` and `<file>.key`, made anew where it is missing or no longer `usable`. */
async function kept(
  directory: string,
  file: string,
  make: () => Promise<CertifiedKey>,
  usable: (certificate: string) => boolean = () => true,
): Promise<CertifiedKey> {
  const existing = await readPair(directory, file);
  if (existing && usable(existing.certificate)) return existing;
  const made = await make();
  await writePair(directory, file, made);
  return made;
}

/** Like kept, but the same for all servers that share. */
async function agreed(
  directory: string,
  file: string,
  shared: SharedSecrets | undefined,
  make: () => Promise<CertifiedKey>,
): Promise<CertifiedKey> {
  if (!shared) return kept(directory, file, make);
  const mine = await readPair(directory, file);
  const pair = await shared.settle(file, mine && { ...mine }, async () => ({ ...(await make()) }));
  const { certificate = '', key = '' } = pair;
  if (!matches(certificate, key))
    throw new SampanError('FailedPrecondition', `the servers' shared "${file}" is not a certificate with its key`);
  if (!mine) await writePair(directory, file, { certificate, key });
  return { certificate, key };
}

async function readPair(directory: string, file: string): Promise<CertifiedKey | undefined> {
  const path = join(directory, file);
  const [certificate, key] = await Promise.all([readTextIfExists(`${path}.crt`), readTextIfExists(`${path}.key`)]);
  return certificate && key && matches(certificate, key) ? { certificate, key } : undefined;
}

async function writePair(directory: string, file: string, made: CertifiedKey): Promise<void> {
  const path = join(directory, file);
  // Key first: a crash between the two leaves a pair that does not match, and the next start makes both anew.
  await writeFileAtomic(`${path}.key`, made.key, { mode: 0o600 });
  await writeFileAtomic(`${path}.crt`, made.certificate);
}

function matches(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function isCurrent(pem: string, ca: CertifiedKey, nowMs: number): boolean {
  const certificate = new X509Certificate(pem);
  if (Date.parse(certificate.validTo) - nowMs < renewBeforeMs) return false;
  return certificate.verify(new X509Certificate(ca.certificate).publicKey);
}

function covers(pem: string, name: string): boolean {
  const certificate = new X509Certificate(pem);
  return isIP(name) ? certificate.checkIP(name) !== undefined : certificate.checkHost(name) !== undefined;
}

/** A random bearer token for scripts that cannot hold a client certificate. */
async function adminToken(directory: string, shared: SharedSecrets | undefined): Promise<string> {
  const path = join(directory, 'admin.token');
  const isToken = (text: string | undefined): text is string => text !== undefined && /^[0-9a-f]{64}$/.test(text);
  const existing = (await readTextIfExists(path))?.trim();
  const mine = isToken(existing) ? existing : undefined;
  if (mine && !shared) return mine;
  const make = async () => ({ token: randomHex(32) });
  const { token } = shared
    ? await shared.settle('admin-token', mine ? { token: mine } : undefined, make)
    : await make();
  if (!isToken(token)) throw new SampanError('FailedPrecondition', "the servers' shared admin token is not one");
  if (token !== mine) await writeFileAtomic(path, `${token}\n`, { mode: 0o600 });
  return token;
}
