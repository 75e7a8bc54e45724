/**
 * What the node's Pods use, asked of the node at most once a second however many clients ask. Owns the age of figures and how old
 * the question before may be; not what a figure means to Kubernetes.
 *
 * CPU use of our own node is a rate since the question before, whoever put it. Nobody asks an idle node, so after a pause, and for containers asked about for the
 * first time, it is asked twice, a second apart.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import type { NodeGateway } from '../../node/gateway.ts';

const amount = z.number().nonnegative();
/** Go leaves out what it does not have, and writes null for a list without elements. */
const usage = {
  cpu: z
    .object({ usageNanoCores: amount.nullish() })
    .nullish()
    .transform((one) => ({ usageNanoCores: one?.usageNanoCores ?? undefined })),
  memory: z
    .object({ workingSetBytes: amount.nullish() })
    .nullish()
    .transform((one) => ({ workingSetBytes: one?.workingSetBytes ?? undefined })),
};
const listOf = <T extends z.ZodType>(element: T, most: number) =>
  z
    .array(element)
    .max(most)
    .nullish()
    .transform((list) => list ?? []);
/** The part of kubelet's stats/v1alpha1 Summary that is read here. */
const summarySchema = z.object({
  node: z.object({ nodeName: z.string(), ...usage }),
  pods: listOf(
    z.object({
      podRef: z.object({ name: z.string(), namespace: z.string(), uid: z.string() }),
      containers: listOf(z.object({ name: z.string(), ...usage }), 1_000),
    }),
    100_000,
  ),
});

export type Summary = z.infer<typeof summarySchema>;

export interface Usage {
  summary: Summary;
  /** When it was asked, milliseconds since the epoch. */
  atMs: number;
  /** What the CPU figures are the average of, milliseconds up to `atMs`. */
  windowMs: number;
}

export interface UsageSourceOptions {
  /** Asked at every call: the node may come and go. */
  gateway: () => NodeGateway | undefined;
  clock: Clock;
  /** What the node's rates are averages of, milliseconds, where it reckons them whoever asks; absent: of the time since it was asked before. */
  windowMs?: number;
}

/** So long one answer is good for everybody. */
const freshMs = 1_000;
/** Two questions nearer than this make no rate. */
const shortestWindowMs = 1_000;
/** An average over more than this says nothing of now. */
const longestWindowMs = 30_000;
const answerWithinMs = 10_000;

export class UsageSource {
  readonly #options: UsageSourceOptions;
  #asked: { gateway: NodeGateway; monotonicMs: number } | undefined;
  #last: Promise<Usage> | undefined;
  /** Monotonic; Infinity while the node is being asked. */
  #lastGoodUntil = 0;

  constructor(options: UsageSourceOptions) {
    this.#options = options;
  }

  /** Throws ServiceUnavailable while no node runs, Timeout when it does not answer, InternalError when what it says is no summary, and what the node throws. */
  async usage(): Promise<Usage> {
    const { gateway: find, clock } = this.#options;
    const gateway = find();
    if (!gateway) throw new SampanError('ServiceUnavailable', 'no figures: the node does not answer, try again later');
    if (this.#last && clock.monotonicMs() < this.#lastGoodUntil) return this.#last;
    this.#lastGoodUntil = Number.POSITIVE_INFINITY;
    this.#last = this.#measure(gateway);
    try {
      const answer = await this.#last;
      this.#lastGoodUntil = clock.monotonicMs() + freshMs;
      return answer;
    } catch (error) {
      this.#last = undefined;
      throw error;
    }
  }

  async #measure(gateway: NodeGateway): Promise<Usage> {
    const { clock, windowMs } = this.#options;
    if (windowMs !== undefined) return { ...(await this.#ask(gateway)), windowMs };
    const first = await this.#ask(gateway);
    const current = first.windowMs >= shortestWindowMs && first.windowMs <= longestWindowMs;
    if (current && first.summary.pods.every(hasRates)) return first;
    // Nothing to wait for on an empty node.
    if (first.summary.pods.length === 0) return { ...first, windowMs: shortestWindowMs };
    await clock.sleep(shortestWindowMs);
    return this.#ask(gateway);
  }

  async #ask(gateway: NodeGateway): Promise<Usage> {
    const { clock } = this.#options;
    const monotonicMs = clock.monotonicMs();
    const atMs = clock.now();
    const answer = summarySchema.safeParse(await this.#answerOf(gateway));
    if (!answer.success) {
      throw new SampanError(
        'InternalError',
        `the node's stats/summary cannot be read: ${z.prettifyError(answer.error)}`,
      );
    }
    // Another gateway is a node that started anew and has no figures of before.
    const before = this.#asked?.gateway === gateway ? this.#asked.monotonicMs : Number.NEGATIVE_INFINITY;
    this.#asked = { gateway, monotonicMs };
    return { summary: answer.data, atMs, windowMs: monotonicMs - before };
  }

  /** Bounded: whoever asks meanwhile waits for the same answer. */
  async #answerOf(gateway: NodeGateway): Promise<object> {
    const answered = new AbortController();
    const late = this.#options.clock.sleep(answerWithinMs, answered.signal).then(() => {
      throw new SampanError('Timeout', `no figures: the node has not told them for ${answerWithinMs / 1000} s`);
    });
    try {
      return await Promise.race([gateway.statsSummary(), late]);
    } finally {
      answered.abort();
    }
  }
}

function hasRates({ containers }: Summary['pods'][number]): boolean {
  return containers.every(({ cpu }) => cpu.usageNanoCores !== undefined);
}
