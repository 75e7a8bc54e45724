/**
 * Follows each request over HTTP to its end and has it written down. Health and version, which ask nobody's name, are left out; so are
 * the platform's own parts, which come in process. It owns when an event is told, not where it is kept.
 */
import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { type Clock, toMicroTime } from '../../base/clock.ts';
import { openPaths } from '../auth/authorizer.ts';
import type { Exchange } from '../http/exchange.ts';
import { auditEvent } from './audit-event.ts';

/** Where events go. */
export interface AuditSink {
  /** Never throws and never waits. */
  write(event: object): void;
  /** Resolves when everything written is kept. */
  close(): Promise<void>;
}

export class AuditTrail {
  readonly #sink: AuditSink;
  readonly #clock: Clock;

  constructor(options: { sink: AuditSink; clock: Clock }) {
    this.#sink = options.sink;
    this.#clock = options.clock;
  }

  /** `until` closes when the request is over: its response, or the socket of an upgrade. */
  follow(exchange: Exchange, until: EventEmitter, isUpgrade = false): void {
    const { path, response } = exchange;
    if (openPaths.some((open) => path === open || path.startsWith(`${open}/`))) return;
    const id = randomUUID();
    const from = exchange.request.socket.remoteAddress ?? '';
    const receivedAt = toMicroTime(this.#clock.now());
    until.once('close', () => {
      const code = exchange.failure?.code ?? (isUpgrade ? 101 : response.statusCode);
      const stageAt = toMicroTime(this.#clock.now());
      this.#sink.write(auditEvent(exchange, { id, from, receivedAt, stageAt, code }));
    });
  }
}
