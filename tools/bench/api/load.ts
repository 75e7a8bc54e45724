/** Requests over HTTPS as fast as answers come, from a fixed number of clients; the same for every server that is compared. */
import { Agent, request } from 'node:https';
import type { Target } from './targets.ts';

export interface Answer {
  status: number;
  body: Buffer;
  ms: number;
}

/** One keep-alive connection a client. */
export class Load {
  readonly #agent: Agent;
  readonly #url: string;

  constructor(target: Target, clients: number) {
    const { ca, certificate, key } = target.credentials;
    this.#url = target.url;
    this.#agent = new Agent({ ca, cert: certificate, key, keepAlive: true, maxSockets: clients });
  }

  send(method: string, path: string, body?: string): Promise<Answer> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const headers = body ? { 'content-type': type, 'content-length': Buffer.byteLength(body) } : {};
      const outgoing = request(new URL(path, this.#url), { method, agent: this.#agent, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks), ms: performance.now() - began }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  /** Throws when the server refuses. */
  async need(method: string, path: string, body?: string): Promise<Answer> {
    const answer = await this.send(method, path, body);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString().slice(0, 300)}`);
    return answer;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Calls `once` from so many clients until the time is over; returns calls a second. */
export async function ratePerSecond(clients: number, ms: number, once: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  let done = 0;
  const client = async () => {
    while (performance.now() - began < ms) {
      await once();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return done / ((performance.now() - began) / 1000);
}

/** Calls `once(i)` for i below `count`, so many at a time. */
export async function all(count: number, clients: number, once: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const client = async () => {
    while (next < count) await once(next++);
  };
  await Promise.all(Array.from({ length: clients }, client));
}
