/**
 * Who is calling: by client certificate, by the static admin token, or by a service account's token. Credentials that do not hold are
 * an error, none at all make an anonymous caller. Owns identity, not permission.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { anonymous, authenticated, masters, type UserInfo } from './user.ts';

export interface VerifiedToken {
  user: UserInfo;
  /** Those of the wanted audiences that the token is for. */
  audiences: string[];
}

/** Tells whose a bearer token is; undefined when it is not of the verifier's kind or does not hold. */
export interface TokenVerifier {
  /** `audiences`: for whom it must be; absent: for this API server. */
  verify(token: string, audiences?: string[]): Promise<VerifiedToken | undefined>;
}

export interface AuthenticatorOptions {
  tokens: TokenVerifier[];
  clock: Clock;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** A connection's certificate does not change. */
  readonly #bySocket = new WeakMap<object, { user: UserInfo; validToMs: number }>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Throws Unauthorized when credentials are given and do not hold. */
  async authenticate(request: IncomingMessage): Promise<UserInfo> {
    const header = request.headers.authorization;
    if (header !== undefined) {
      const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
      const verified = token && (await this.verifyToken(token));
      if (verified) return verified.user;
      throw unauthorized();
    }
    return this.#byCertificate(request.socket as TLSSocket) ?? anonymous;
  }

  /** For TokenReview too. */
  async verifyToken(token: string, audiences?: string[]): Promise<VerifiedToken | undefined> {
    for (const verifier of this.#options.tokens) {
      const verified = await verifier.verify(token, audiences);
      if (verified) return verified;
    }
    return undefined;
  }

  #byCertificate(socket: TLSSocket): UserInfo | undefined {
    const known = this.#bySocket.get(socket);
    if (known) {
      if (known.validToMs <= this.#options.clock.now()) throw unauthorized();
      return known.user;
    }
    if (typeof socket.getPeerCertificate !== 'function') return undefined;
    const certificate = socket.getPeerCertificate();
    if (!certificate?.subject) return undefined;
    const validToMs = Date.parse(certificate.valid_to);
    const name = certificate.subject.CN;
    if (!socket.authorized || validToMs <= this.#options.clock.now() || typeof name !== 'string' || !name) {
      throw unauthorized();
    }
    const organizations = [certificate.subject.O ?? []].flat();
    const user = { name, groups: [...organizations, authenticated] };
    this.#bySocket.set(socket, { user, validToMs });
    return user;
  }
}

export function unauthorized(): SampanError {
  return new SampanError('Unauthorized', 'Unauthorized');
}

/** The static token of the admin: hashed before comparison, so that time tells nothing of it. */
export function adminTokenVerifier(adminToken: string): TokenVerifier {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(adminToken);
  return {
    async verify(token, audiences = []) {
      if (!timingSafeEqual(digest(token), expected)) return undefined;
      return { user: { name: 'admin', groups: [masters, authenticated] }, audiences };
    },
  };
}
