/**
 * The server's side of sampan-launch (host/launcher): starts jailed VMMs and talks to a launcher that holds one.
 * Owns the launcher processes it starts.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { type ProcessId, parseProcessId } from '../vmm-process.ts';

const maxOutputBytes = 128 * 1024;

type LauncherChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** One launcher that answers lines. */
export class Launcher {
  readonly #child: LauncherChild;
  readonly #clock: Clock;
  readonly #waiting: PromiseWithResolvers<string>[] = [];
  readonly #early: string[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #output = '';
  #words = '';

  constructor(path: string, args: readonly string[], clock: Clock) {
    this.#clock = clock;
    // Own session: a terminal's Ctrl-C to the server is not for the machines.
    this.#child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk.toString('utf8')));
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString('utf8')).slice(-2000);
    });
    this.#child.on('error', (error) => {
      this.#words ||= error.message;
      this.#end();
    });
    this.#child.on('close', () => this.#end());
  }

  /** Waits for the VMM to run. Throws InternalError with the launcher's words. */
  async started(): Promise<ProcessId> {
    const line = await this.#line(30_000);
    const id = line.startsWith('pid ') ? parseProcessId(line.slice(4)) : undefined;
    if (!id) throw new SampanError('InternalError', `the launcher said "${line.slice(0, 200)}" instead of a pid`);
    return id;
  }

  /** Sends a command (fields without tabs or newlines) and returns what follows `ok`. Commands may overlap; answers come in order. */
  async command(...fields: string[]): Promise<string> {
    return this.commandWithin(30_000, ...fields);
  }

  async commandWithin(timeoutMs: number, ...fields: string[]): Promise<string> {
    this.#child.stdin.write(`${fields.join('\t')}\n`);
    const line = await this.#line(timeoutMs);
    if (line === 'ok') return '';
    if (line.startsWith('ok ')) return line.slice(3);
    throw new SampanError('InternalError', `launcher, ${fields[0]}: ${line.replace(/^error /, '').slice(0, 500)}`);
  }

  /** Lets go of a launcher that ends by itself or holds on by itself: it no longer keeps this process alive. */
  detach(): void {
    this.#child.unref();
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.destroy();
  }

  /** Ends it; a VMM it still holds dies with it. */
  async kill(): Promise<void> {
    this.#child.stdin.end();
    await Promise.race([this.#ended.promise, this.#clock.sleep(5_000)]);
    this.#child.kill('SIGKILL');
    await this.#ended.promise;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  #receive(text: string): void {
    this.#output += text;
    for (let end = this.#output.indexOf('\n'); end >= 0; end = this.#output.indexOf('\n')) {
      const line = this.#output.slice(0, end);
      this.#output = this.#output.slice(end + 1);
      const waiting = this.#waiting.shift();
      if (waiting) waiting.resolve(line);
      else this.#early.push(line);
    }
    if (this.#output.length > maxOutputBytes) this.#child.kill('SIGKILL');
  }

  async #line(timeoutMs: number): Promise<string> {
    const early = this.#early.shift();
    if (early !== undefined) return early;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      await this.#ended.promise;
      throw this.#failure();
    }
    const waiting = Promise.withResolvers<string>();
    this.#waiting.push(waiting);
    const stop = new AbortController();
    this.#clock.sleep(timeoutMs, stop.signal).then(
      () => {
        waiting.reject(new SampanError('Timeout', `the launcher did not answer within ${timeoutMs} ms`));
        // Answers would no longer match their questions.
        this.#child.kill('SIGKILL');
      },
      () => {},
    );
    try {
      return await waiting.promise;
    } finally {
      stop.abort();
    }
  }

  #end(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure());
    this.#ended.resolve();
  }

  #failure(): SampanError {
    const words = this.#words.trim().replace(/^sampan-launch: /, '');
    return new SampanError(
      'InternalError',
      `the VMM could not be started: ${words || 'the launcher ended without a word'}`,
    );
  }
}
