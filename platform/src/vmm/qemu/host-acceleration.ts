/**
 * The acceleration that machines are started with, and when it is thought over: KVM may go while the server runs (its module is taken away, another
 * hypervisor takes the processor). Owns the context's profile.
 */
import { messageOf } from '@sampan/api/errors.ts';
import { type AccelerationProfile, type Accelerator, accelerationProfiles } from './acceleration.ts';
import { chooseAccelerator, type Verdict } from './kvm-probe.ts';
import type { QemuContext } from './qemu-context.ts';

export type Choose = (context: QemuContext, options?: { anew?: boolean }) => Promise<Verdict>;

export class HostAcceleration {
  readonly #context: QemuContext;
  readonly #isChosen: boolean;
  readonly #choose: Choose;
  #verdict: Verdict;
  #thinking: Promise<Verdict> | undefined;

  private constructor(
    context: QemuContext,
    verdict: Verdict,
    { isChosen, choose }: { isChosen: boolean; choose: Choose },
  ) {
    this.#context = context;
    this.#verdict = verdict;
    this.#isChosen = isChosen;
    this.#choose = choose;
    context.profile = accelerationProfiles[verdict.accelerator];
  }

  /** `wanted`: by whoever configured it, who then is not contradicted. */
  static async choose(context: QemuContext, wanted?: Accelerator, choose: Choose = chooseAccelerator) {
    const verdict = wanted ? { accelerator: wanted, reason: 'chosen by configuration' } : await choose(context);
    return new HostAcceleration(context, verdict, { isChosen: wanted !== undefined, choose });
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /**
   * After a machine could not be started with `failed`: whether the context has another profile now, which is worth a try. It is KVM alone that goes, and
   * only when the failure speaks of it is it tried anew, once for all machines that fail at the time.
   */
  async isAnotherAfter(error: unknown, failed: AccelerationProfile): Promise<boolean> {
    if (this.#context.profile !== failed) return true;
    if (this.#isChosen || failed.accelerator !== 'kvm' || !/\bkvm\b/i.test(messageOf(error))) return false;
    this.#thinking ??= this.#choose(this.#context, { anew: true }).finally(() => {
      this.#thinking = undefined;
    });
    const verdict = await this.#thinking;
    if (verdict.accelerator === failed.accelerator) return false;
    if (this.#context.profile === failed) {
      this.#verdict = verdict;
      this.#context.profile = accelerationProfiles[verdict.accelerator];
      this.#context.log.warn({ ...verdict, error: messageOf(error) }, 'KVM gives no machines any more');
    }
    return true;
  }
}
