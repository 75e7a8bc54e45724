/**
 * The fake network driver: addresses and leases, no devices. Keeps what was attached in memory that outlives the object, so that a
 * second one with the same `state` stands for a restarted server.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { Attachment, AttachRequest, Network } from '../network.ts';
import { refuseMode } from '../refuse-mode.ts';

export interface FakeNetworkState {
  attachments: Map<string, Attachment>;
  next: number;
  /** Why nothing is detached just now. */
  detachFault?: Error | undefined;
  /** Why nothing could be attached just now. */
  fault?: string;
}

export const newFakeNetworkState = (): FakeNetworkState => ({ attachments: new Map(), next: 0 });

export interface FakeNetworkOptions {
  state?: FakeNetworkState;
  /** How many addresses there are (default 65,000). */
  capacity?: number;
}

const gateway = '10.127.0.1';

export class FakeNetwork implements Network {
  readonly #state: FakeNetworkState;
  readonly #capacity: number;
  #started = false;

  constructor(options: FakeNetworkOptions = {}) {
    this.#state = options.state ?? newFakeNetworkState();
    this.#capacity = options.capacity ?? 65_000;
  }

  async start(): Promise<void> {
    this.#started = true;
  }

  async attach(request: AttachRequest): Promise<Attachment> {
    this.#check('attach');
    refuseMode(request);
    const known = this.#state.attachments.get(request.sandboxId);
    if (known) return known;
    if (this.#state.attachments.size >= this.#capacity) {
      throw new SampanError('ResourceExhausted', `all ${this.#capacity} addresses of the Pod subnet are in use`);
    }
    const attachment = this.#newAttachment(request);
    this.#state.attachments.set(request.sandboxId, attachment);
    return attachment;
  }

  #newAttachment({ sandboxId, netnsPath }: AttachRequest): Attachment {
    const used = new Set([...this.#state.attachments.values()].map((other) => other.ipv4.address));
    for (;;) {
      const offset = 2 + (this.#state.next++ % this.#capacity);
      const [high, low] = [offset >> 8, offset & 255];
      const address = `10.127.${high}.${low}`;
      if (used.has(address)) continue;
      const mac = `02:00:0a:7f:${high.toString(16).padStart(2, '0')}:${low.toString(16).padStart(2, '0')}`;
      const ipv4 = { address, prefixLength: 16, gateway };
      const place = netnsPath ? { netnsPath } : { tapName: `fake-${offset.toString(16)}` };
      return { sandboxId, ...place, mac, ipv4, mtu: 1500, nameservers: [gateway] };
    }
  }

  async detach(sandboxId: string): Promise<void> {
    this.#check('detach');
    if (this.#state.detachFault) throw this.#state.detachFault;
    this.#state.attachments.delete(sandboxId);
  }

  async fault(): Promise<string | undefined> {
    return this.#state.fault;
  }

  async list(): Promise<Attachment[]> {
    this.#check('list');
    return [...this.#state.attachments.values()];
  }

  hostAddress(): string {
    this.#check('hostAddress');
    return gateway;
  }

  async close(): Promise<void> {
    this.#started = false;
  }

  async teardown(): Promise<void> {
    const count = this.#state.attachments.size;
    if (count === 0) return this.close();
    throw new SampanError(
      'FailedPrecondition',
      `the fake network cannot be torn down: ${count} sandboxes are attached`,
    );
  }

  #check(wanted: string): void {
    if (!this.#started)
      throw new SampanError('FailedPrecondition', `the fake network is not started; wanted ${wanted}`);
  }
}
