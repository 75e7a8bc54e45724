/** Certificates made and signed with the library for that; certificates.ts loads this, when it first has to. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { randomHex } from '../../base/ids.ts';
import type {
  CertificateRequest,
  CertifiedKey,
  Issuing,
  LeafOptions,
  RequestSigning,
  Subject,
} from './certificates.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Clocks of clients may be behind ours. */
const backdateMs = 5 * 60_000;

export async function makeCa(options: Issuing): Promise<CertifiedKey> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(options),
    name: nameOf(options.subject),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

export async function issue(options: LeafOptions): Promise<CertifiedKey> {
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(options.ca.certificate);
  const use = options.use === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const names = [
    ...(options.names ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(options.addresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(options),
    subject: nameOf(options.subject),
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await importKey(options.ca.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([use]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

export async function readRequest(pem: string): Promise<CertificateRequest> {
  const request = new x509.Pkcs10CertificateRequest(pem);
  if (!(await request.verify())) throw new Error('the request is not signed by the key it is for');
  const alternative = request.extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension);
  const names = alternative?.names.toJSON() ?? [];
  return {
    commonName: request.subjectName.getField('CN')[0] ?? '',
    organizations: request.subjectName.getField('O'),
    names: names.map(({ value }) => String(value)),
  };
}

export async function signRequest({ ca, request: pem, usages, ...when }: RequestSigning): Promise<string> {
  const request = new x509.Pkcs10CertificateRequest(pem);
  const issuer = new x509.X509Certificate(ca.certificate);
  const keyUses =
    (usages.includes('digital signature') ? x509.KeyUsageFlags.digitalSignature : 0) |
    (usages.includes('key encipherment') ? x509.KeyUsageFlags.keyEncipherment : 0);
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(when),
    subject: request.subject,
    issuer: issuer.subjectName,
    publicKey: request.publicKey,
    signingKey: await importKey(ca.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      ...(keyUses ? [new x509.KeyUsagesExtension(keyUses, true)] : []),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return certificate.toString('pem');
}

function validity({ notBeforeMs, lifetimeMs }: Omit<Issuing, 'subject'>) {
  return {
    // A leading zero nibble keeps the serial positive in DER.
    serialNumber: `0${randomHex(16).slice(1)}`,
    notBefore: new Date(notBeforeMs - backdateMs),
    notAfter: new Date(notBeforeMs + lifetimeMs),
  };
}

function nameOf({ commonName, organizations = [] }: Subject): x509.JsonName {
  return [...organizations.map((one) => ({ O: [one] })), { CN: [commonName] }];
}

const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;

async function exportKey(key: CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

async function importKey(pem: string): Promise<CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  return (await webcrypto.subtle.importKey('pkcs8', der as ArrayBuffer, algorithm, true, ['sign'])) as CryptoKey;
}
