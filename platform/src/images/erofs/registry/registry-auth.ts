/**
 * Answers a registry's challenge: basic authentication, or a bearer token fetched from the realm it names (distribution's token and OAuth2
 * specifications). Keeps the answer for later requests of the same session; never logs or shows a secret.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { RegistryAuth } from '../../images.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from './http-transport.ts';
import { errorFrom, readBody } from './registry-errors.ts';

const tokenAnswer = z.object({ token: z.string().optional(), access_token: z.string().optional() });
const maxTokenAnswerBytes = 1 << 20;

export interface AuthSession {
  transport: HttpTransport;
  registry: string;
  repository: string;
  /** What the token shall allow: `pull` or `pull,push`. */
  actions: string;
  credentials?: RegistryAuth | undefined;
  /** The registry itself is spoken to without TLS, so its realm may be too. */
  insecure: boolean;
}

export class RegistryAuthenticator {
  readonly #session: AuthSession;
  #header: string | undefined;

  constructor(session: AuthSession) {
    this.#session = session;
    if (session.credentials?.registryToken) this.#header = `Bearer ${session.credentials.registryToken}`;
  }

  /** The Authorization header to send, once there is one. */
  get header(): string | undefined {
    return this.#header;
  }

  /** Finds an answer to a 401. Throws Unauthorized when there is none, or when `tried` was already the best one. */
  async answer(response: HttpResponse, signal?: AbortSignal): Promise<void> {
    const challenges = parseChallenges(String(response.headers['www-authenticate'] ?? ''));
    const refused = await errorFrom(response, `${this.#session.registry}/${this.#session.repository}`);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer) this.#header = `Bearer ${await this.#fetchToken(bearer, signal)}`;
    else if (challenges.some(({ scheme }) => scheme === 'basic') && this.#session.credentials?.username)
      this.#header = this.#basic();
    else throw refused;
  }

  #basic(): string {
    const { username = '', password = '' } = this.#session.credentials ?? {};
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  async #fetchToken(challenge: Challenge, signal?: AbortSignal): Promise<string> {
    const { registry, credentials, transport } = this.#session;
    const realm = this.#realm(challenge);
    const request = credentials?.identityToken ? this.#oauth(realm, challenge) : this.#simple(realm, challenge);
    const response = await transport.send({ ...request, signal });
    if (response.status !== 200) throw await errorFrom(response, `the token service of ${registry}`);
    const body = await readBody(response, maxTokenAnswerBytes, `the answer of the token service of ${registry}`);
    const answer = tokenAnswer.safeParse(safeJson(body));
    const token = answer.data?.token || answer.data?.access_token;
    if (!token) throw new SampanError('Unauthorized', `the token service of ${registry} answered without a token`);
    return token;
  }

  #realm(challenge: Challenge): URL {
    const text = challenge.parameters.realm ?? '';
    const realm = URL.canParse(text) ? new URL(text) : undefined;
    const allowed = realm?.protocol === 'https:' || (realm?.protocol === 'http:' && this.#session.insecure);
    if (realm && allowed) return realm;
    const shown = JSON.stringify(text.slice(0, 200));
    throw new SampanError(
      'Unauthorized',
      `${this.#session.registry} sends for a token to ${shown}; only https is followed`,
    );
  }

  #scope(challenge: Challenge): string {
    return challenge.parameters.scope || `repository:${this.#session.repository}:${this.#session.actions}`;
  }

  #simple(realm: URL, challenge: Challenge): HttpRequest {
    const { credentials } = this.#session;
    if (challenge.parameters.service) realm.searchParams.set('service', challenge.parameters.service);
    realm.searchParams.set('scope', this.#scope(challenge));
    return { url: realm, headers: credentials?.username ? { authorization: this.#basic() } : {} };
  }

  #oauth(realm: URL, challenge: Challenge): HttpRequest {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: this.#session.credentials?.identityToken ?? '',
      service: challenge.parameters.service ?? '',
      scope: this.#scope(challenge),
      client_id: 'sampan',
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { url: realm, method: 'POST', headers, body: Buffer.from(form.toString()) };
  }
}

function safeJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
