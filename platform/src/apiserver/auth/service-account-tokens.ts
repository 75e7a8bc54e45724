/**
 * Service accounts' tokens: JWTs signed with the cluster's key, good for an audience, for a time, and for as long as the account and the
 * object they are bound to exist (KEP-1205). Owns their contents and their check; who may ask for one is authorisation's.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type ResourceRef, resources } from '@sampan/api/client.ts';
import { calculateJwkThumbprint, exportJWK, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { newUid } from '../../base/ids.ts';
import type { AdmissionReader } from '../admission/admission.ts';
import type { TokenVerifier } from './authenticator.ts';
import { serviceAccountUser } from './user.ts';

export const issuer = 'https://kubernetes.default.svc.cluster.local';
/** What a token must be for when it is shown to this server. */
export const apiAudiences = [issuer, 'https://kubernetes.default.svc'];

const objectRef = z.object({ name: z.string(), uid: z.string() });
const privateClaims = z.object({
  namespace: z.string(),
  serviceaccount: objectRef,
  pod: objectRef.optional(),
  secret: objectRef.optional(),
  node: z.object({ name: z.string(), uid: z.string().optional() }).optional(),
});

/** The `kubernetes.io` claim. */
export type PrivateClaims = z.infer<typeof privateClaims>;

export interface TokenOptions {
  claims: PrivateClaims;
  audiences: string[];
  expirationSeconds: number;
}

export interface ServiceAccountTokens extends TokenVerifier {
  sign(options: TokenOptions): Promise<{ token: string; expirationMs: number }>;
  /** JSON Web Key Set, for those who verify tokens without asking us. */
  keySet(): Promise<object>;
}

export function serviceAccountTokens(options: {
  /** PKCS#8 PEM, P-256. */
  key: string;
  clock: Clock;
  /** Looks objects up, as fresh as may be. */
  reader: AdmissionReader;
}): ServiceAccountTokens {
  const { clock, reader } = options;
  const privateKey = createPrivateKey(options.key);
  const publicKey = createPublicKey(privateKey);
  const keyId = exportJWK(publicKey).then((jwk) => calculateJwkThumbprint(jwk));

  return {
    async sign({ claims, audiences, expirationSeconds }) {
      const now = Math.floor(clock.now() / 1000);
      const expiration = now + expirationSeconds;
      const { namespace, serviceaccount } = claims;
      const token = await new SignJWT({ 'kubernetes.io': claims })
        .setProtectedHeader({ alg: 'ES256', kid: await keyId })
        .setIssuer(issuer)
        .setSubject(`system:serviceaccount:${namespace}:${serviceaccount.name}`)
        .setAudience(audiences)
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(expiration)
        .setJti(newUid())
        .sign(privateKey);
      return { token, expirationMs: expiration * 1000 };
    },

    async verify(token, audiences = apiAudiences) {
      const payload = await jwtVerify(token, publicKey, {
        issuer,
        algorithms: ['ES256'],
        currentDate: new Date(clock.now()),
      }).then(
        (result) => result.payload,
        () => undefined,
      );
      const claims = privateClaims.safeParse(payload?.['kubernetes.io']);
      if (!payload || !claims.success) return undefined;
      const matching = [payload.aud ?? []].flat().filter((audience) => audiences.includes(audience));
      if (matching.length === 0 || !(await stillHolds(reader, claims.data))) return undefined;
      const { namespace, serviceaccount } = claims.data;
      const user = serviceAccountUser(namespace, serviceaccount.name, serviceaccount.uid);
      return { user: { ...user, extra: extraOf(claims.data, payload) }, audiences: matching };
    },

    async keySet() {
      const jwk = await exportJWK(publicKey);
      return { keys: [{ ...jwk, use: 'sig', alg: 'ES256', kid: await keyId }] };
    },
  };
}

/** The account and what the token is bound to exist, and are the same ones. */
async function stillHolds(reader: AdmissionReader, claims: PrivateClaims): Promise<boolean> {
  await reader.refresh();
  const same = (ref: ResourceRef, wanted: { name: string; uid: string } | undefined) =>
    !wanted || reader.get(ref, wanted.name, claims.namespace)?.metadata.uid === wanted.uid;
  return (
    same(resources.serviceaccounts, claims.serviceaccount) &&
    same(resources.pods, claims.pod) &&
    same(resources.secrets, claims.secret)
  );
}

function extraOf({ pod, node }: PrivateClaims, { jti }: JWTPayload): Record<string, string[]> {
  return {
    ...(jti ? { 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`] } : {}),
    ...(pod
      ? {
          'authentication.kubernetes.io/pod-name': [pod.name],
          'authentication.kubernetes.io/pod-uid': [pod.uid],
        }
      : {}),
    ...(node ? { 'authentication.kubernetes.io/node-name': [node.name] } : {}),
    ...(node?.uid ? { 'authentication.kubernetes.io/node-uid': [node.uid] } : {}),
  };
}
