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

interface Certified {
  user: UserInfo;
  validToMs: number;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** A connection's certificate does not change. */
  readonly #bySocket = new WeakMap<object, Certified>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** A certificate counts before a token, as with kube-apiserver. Throws Unauthorized when credentials are given and none holds. */
  async authenticate(request: IncomingMessage): Promise<UserInfo> {
    const certified = this.#byCertificate(request.socket as TLSSocket);
    if (certified && certified !== 'invalid') return certified;
    const token = bearerOf(request);
    if (token === undefined) {
      if (certified === 'invalid') throw unauthorized();
      return anonymous;
    }
    const verified = await this.verifyToken(token);
    if (!verified) throw unauthorized();
    return verified.user;
  }

  /** For TokenReview too. */
  async verifyToken(token: string, audiences?: string[]): Promise<VerifiedToken | undefined> {
    for (const verifier of this.#options.tokens) {
      const verified = await verifier.verify(token, audiences);
      if (verified) return verified;
    }
    return undefined;
  }

  #byCertificate(socket: TLSSocket): UserInfo | 'invalid' | undefined {
    const known = this.#bySocket.get(socket) ?? this.#readCertificate(socket);
    if (!known) return undefined;
    return known.validToMs > this.#options.clock.now() ? known.user : 'invalid';
  }

  /** Undefined when the client showed none. One that was not signed for us counts as long expired. */
  #readCertificate(socket: TLSSocket): Certified | undefined {
    if (typeof socket.getPeerCertificate !== 'function') return undefined;
    const certificate = socket.getPeerCertificate();
    if (!certificate?.subject) return undefined;
    const { CN: name, O: organizations } = certificate.subject as { CN?: string | string[]; O?: string | string[] };
    const holds = socket.authorized && typeof name === 'string' && name !== '';
    const user = { name: String(name), groups: [...[organizations ?? []].flat(), authenticated] };
    const certified = { user, validToMs: holds ? Date.parse(certificate.valid_to) : 0 };
    this.#bySocket.set(socket, certified);
    return certified;
  }
}

const webSocketProtocol = 'base64url.bearer.authorization.k8s.io.';

/**
 * The token of the Authorization header; browsers, which cannot set it on a WebSocket, send it as a subprotocol
 * (apiserver/pkg/authentication/request/websocket), which is taken out of the offer here. '' for a header of another form.
 */
function bearerOf({ headers }: IncomingMessage): string | undefined {
  if (headers.authorization !== undefined) return /^Bearer +(\S+)$/i.exec(headers.authorization)?.[1] ?? '';
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const carrier = offered.find((name) => name.startsWith(webSocketProtocol));
  if (carrier === undefined) return undefined;
  headers['sec-websocket-protocol'] = offered.filter((name) => name !== carrier).join(', ');
  return Buffer.from(carrier.slice(webSocketProtocol.length), 'base64url').toString('utf8');
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
