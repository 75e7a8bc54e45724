/**
 * What Pods use on all nodes that are asked about: our own, and those whose kubelets are not ours. Owns how many are asked at a time, and that a node which does
 * not answer keeps nobody from the figures of the others; not how one is asked (usage-source.ts), nor what a figure means.
 */
import type { Clock } from '../../base/clock.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import { type Usage, UsageSource } from './usage-source.ts';

export interface NodeUsagesOptions {
  /** The node that runs here. Asked at every call: it may come and go. */
  local: () => NodeGateway | undefined;
  /** Its name; undefined: it answers for all. */
  localNode: string | undefined;
  gatewayOf: (nodeName: string) => NodeGateway | undefined;
  clock: Clock;
}

interface Other {
  source: UsageSource;
  /** It did not answer, and is not asked again before. */
  failed?: { error: unknown; untilMs: number };
}

/** A kubelet reckons its averages by itself, every ten seconds. */
const kubeletWindowMs = 10_000;
const askedAtOnce = 8;
/** Whoever asks meanwhile need not wait for it too. */
const restMs = 60_000;
const maxRemembered = 1_000;

export class NodeUsages {
  readonly #options: NodeUsagesOptions;
  readonly #own: UsageSource;
  readonly #others = new Map<string, Other>();

  constructor(options: NodeUsagesOptions) {
    this.#options = options;
    this.#own = new UsageSource({ gateway: options.local, clock: options.clock });
  }

  /** By a node's name, of those that answered. Throws what a node threw when none did. */
  async of(names: ReadonlySet<string>): Promise<(nodeName: string) => Usage | undefined> {
    const { localNode } = this.#options;
    if (localNode === undefined) {
      const usage = await this.#own.usage();
      return () => usage;
    }
    const found = new Map<string, Usage>();
    const failures: unknown[] = [];
    const left = names.values();
    const ask = async () => {
      for (const name of left) {
        try {
          found.set(name, await (name === localNode ? this.#own.usage() : this.#other(name)));
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: askedAtOnce }, ask));
    if (found.size === 0 && failures.length > 0) throw failures[0];
    return (name) => found.get(name);
  }

  async #other(name: string): Promise<Usage> {
    const { clock, gatewayOf } = this.#options;
    const other = this.#others.get(name) ?? {
      source: new UsageSource({ gateway: () => gatewayOf(name), clock, windowMs: kubeletWindowMs }),
    };
    this.#remember(name, other);
    if (other.failed && clock.monotonicMs() < other.failed.untilMs) throw other.failed.error;
    try {
      const usage = await other.source.usage();
      delete other.failed;
      return usage;
    } catch (error) {
      other.failed = { error, untilMs: clock.monotonicMs() + restMs };
      throw error;
    }
  }

  /** Nodes come and go; those not asked about for longest are forgotten first. */
  #remember(name: string, other: Other): void {
    this.#others.delete(name);
    this.#others.set(name, other);
    const [oldest] = this.#others.keys();
    if (this.#others.size > maxRemembered && oldest !== undefined) this.#others.delete(oldest);
  }
}
