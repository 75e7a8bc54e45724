/**
 * System call filters that crun has compiled, to be given along to the next container with the same `linux.seccomp`: an engine's usual one is half of what
 * crun takes for a container. Owns memory of this process alone.
 *
 * They are learned from machines on the host in which nobody's program has run yet. What a guest says is its own affair: another guest must not get a
 * filter from it.
 */
import { createHash } from 'node:crypto';
import { isReason } from '@sampan/api/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Agent } from '../agent/agent.ts';
import type { CreateBundleSandbox } from './bundle-runtime.ts';

/** An engine has one or two of its own; the others are users'. */
const most = 32;
/** Eight bytes an instruction (filter.h: struct sock_filter). */
const instructionBytes = 8;

export class SeccompFilters {
  /** Base64, by what they were compiled from; the one used last comes last. */
  readonly #known = new Map<string, string>();

  /** Undefined: there is none to be known, or it is not known yet. */
  of(spec: object): string | undefined {
    const key = keyOf(spec);
    const filter = key && this.#known.get(key);
    if (!key || !filter) return undefined;
    this.#known.delete(key);
    this.#known.set(key, filter);
    return filter;
  }

  /** Of a container that is being made ready, before anything in its sandbox is started. Never throws: whoever does not learn it lets crun compile it again. */
  async learn(container: LearnFrom, log: Logger): Promise<void> {
    const { id, spec, sandbox, agent } = container;
    const key = canBeBelieved(sandbox) && keyOf(spec);
    if (!key) return;
    try {
      await agent.awaitReady(id);
      const bytes = await agent.readFilter(id);
      if (bytes.length === 0 || bytes.length % instructionBytes !== 0 || !canBeBelieved(sandbox)) return;
      this.#known.set(key, Buffer.from(bytes).toString('base64'));
      if (this.#known.size > most) this.#known.delete(this.#known.keys().next().value!);
    } catch (error) {
      // It was removed, or crun failed: its start says so.
      if (!isReason(error, 'InternalError') && !isReason(error, 'NotFound'))
        log.debug({ container: id, error }, 'no filter is learned');
    }
  }
}

/** What it asks of a sandbox. */
interface MayBeFresh {
  record: { request: Pick<CreateBundleSandbox, 'handler'> };
  /** No program of anybody's has run in it yet. */
  isFresh?: boolean;
}

export interface LearnFrom {
  id: string;
  /** Its OCI config as the agent gets it. */
  spec: object;
  sandbox: MayBeFresh;
  agent: Pick<Agent, 'awaitReady' | 'readFilter'>;
}

const canBeBelieved = ({ record, isFresh }: MayBeFresh): boolean =>
  isFresh === true && record.request.handler === 'namespace';

function keyOf(spec: object): string | undefined {
  const seccomp = (spec as { linux?: { seccomp?: object | null } }).linux?.seccomp;
  return seccomp ? createHash('sha256').update(JSON.stringify(seccomp)).digest('hex') : undefined;
}
