/**
 * The live output of a container, for any number of attached clients. A client that does not keep up is cut off when its buffer is full:
 * it can never hold up the log or the container.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { LogStream } from './cri-log-line.ts';

const bufferBytes = 1024 * 1024;

export interface Subscription extends Disposable {
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
}

interface Client {
  controllers: Record<LogStream, ReadableStreamDefaultController<Uint8Array>>;
}

export class FanOut {
  readonly #clients = new Set<Client>();
  #ended = false;

  publish(stream: LogStream, data: Uint8Array): void {
    for (const client of this.#clients) {
      const controller = client.controllers[stream];
      if ((controller.desiredSize ?? 0) < data.length) this.#drop(client);
      // A copy: the chunk's memory goes back to the channel.
      else controller.enqueue(Uint8Array.from(data));
    }
  }

  subscribe(): Subscription {
    const controllers = {} as Client['controllers'];
    const client: Client = { controllers };
    const open = (stream: LogStream) =>
      new ReadableStream<Uint8Array>(
        {
          start: (controller) => {
            controllers[stream] = controller;
          },
          cancel: () => void this.#clients.delete(client),
        },
        { highWaterMark: bufferBytes, size: (chunk) => chunk?.length ?? 0 },
      );
    const streams = { stdout: open('stdout'), stderr: open('stderr') };
    if (this.#ended) this.#close(client);
    else this.#clients.add(client);
    return { ...streams, [Symbol.dispose]: () => this.#close(client) };
  }

  /** The container's output ended: clients read what they have and then the end. */
  end(): void {
    this.#ended = true;
    for (const client of this.#clients) this.#close(client);
  }

  #close(client: Client): void {
    this.#clients.delete(client);
    for (const controller of Object.values(client.controllers)) ignoreClosed(() => controller.close());
  }

  #drop(client: Client): void {
    this.#clients.delete(client);
    const error = new SampanError('TooManyRequests', 'the attached client reads too slowly; attach again');
    for (const controller of Object.values(client.controllers)) ignoreClosed(() => controller.error(error));
  }
}

/** Closing a stream that its reader has cancelled throws; both ends agree already. */
function ignoreClosed(close: () => void): void {
  try {
    close();
  } catch {
    // Already closed.
  }
}
