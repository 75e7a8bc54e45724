/**
 * A child process that answers each line on its stdin with one line on its stdout, `ok` or `error WORDS`. It is started when it is first asked,
 * and anew when it has died. Several questions may be under way; the answers come in their order. Owns the process.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';

const timeoutMs = 30_000;
const maxAnswerBytes = 64 * 1024;

interface Question {
  words: string;
  resolve(): void;
  reject(error: unknown): void;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

export class LineChild {
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #onDeath: () => void;
  #conversation: Conversation | undefined;

  /** `onDeath`: a child that had answered has ended unasked; nobody has started another. */
  constructor(command: string, args: readonly string[], onDeath: () => void = () => {}) {
    this.#command = command;
    this.#args = args;
    this.#onDeath = onDeath;
  }

  /** Throws InternalError with the child's words, or Timeout: then it is killed, and the next question goes to another. */
  ask(...fields: string[]): Promise<void> {
    if (!this.#conversation || this.#conversation.hasEnded) {
      const conversation = new Conversation(
        // A session of its own: a terminal's Ctrl-C is for its parent.
        spawn(this.#command, this.#args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true }),
        () => this.#conversation === conversation && this.#onDeath(),
      );
      this.#conversation = conversation;
    }
    return this.#conversation.ask(fields);
  }

  /** While it runs. */
  get pid(): number | undefined {
    return this.#conversation?.pid;
  }

  /** Lets it answer what is under way, and end. */
  close(): void {
    this.#conversation?.end();
    this.#conversation = undefined;
  }
}

class Conversation {
  hasEnded = false;
  readonly #child: Child;
  readonly #open: Question[] = [];
  #output = '';
  readonly #onDeath: () => void;
  #hasAnswered = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(child: Child, onDeath: () => void) {
    this.#child = child;
    this.#onDeath = onDeath;
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk.toString('utf8')));
    child.on('error', (error) => this.#fail(new SampanError('InternalError', error.message, {}, { cause: error })));
    child.on('close', (code, signal) =>
      this.#fail(new SampanError('InternalError', `${child.spawnfile} ended (${signal ?? `exit ${code}`})`)),
    );
    this.#hold(false);
  }

  get pid(): number | undefined {
    return this.hasEnded ? undefined : this.#child.pid;
  }

  ask(fields: string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open.push({ words: fields[0] ?? '', resolve, reject });
      this.#child.stdin.write(`${fields.map(encoded).join('\t')}\n`);
      this.#watch();
    });
  }

  end(): void {
    this.#child.stdin.end();
  }

  #receive(text: string): void {
    this.#output += text;
    for (let end = this.#output.indexOf('\n'); end >= 0; end = this.#output.indexOf('\n')) {
      const line = this.#output.slice(0, end);
      this.#output = this.#output.slice(end + 1);
      const question = this.#open.shift();
      this.#hasAnswered = true;
      if (line === 'ok') question?.resolve();
      else question?.reject(new SampanError('InternalError', `${question.words}: ${line.replace(/^error /, '')}`));
    }
    if (this.#output.length > maxAnswerBytes) this.#child.kill('SIGKILL');
    this.#watch();
  }

  /** While nothing is asked, the child keeps nobody alive. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#hold(this.#open.length > 0);
    if (this.#open.length > 0)
      this.#timer = setTimeout(() => {
        this.#fail(new SampanError('Timeout', `${this.#child.spawnfile} did not answer within ${timeoutMs} ms`));
        this.#child.kill('SIGKILL');
      }, timeoutMs);
  }

  #hold(needed: boolean): void {
    const handles = [this.#child, this.#child.stdin, this.#child.stdout] as unknown as { ref(): void; unref(): void }[];
    for (const handle of handles) needed ? handle.ref() : handle.unref();
  }

  #fail(error: SampanError): void {
    const isNews = !this.hasEnded;
    this.hasEnded = true;
    clearTimeout(this.#timer);
    for (const question of this.#open.splice(0)) question.reject(error);
    if (isNews && this.#hasAnswered) this.#onDeath();
  }
}

/** What cannot stand in a line, as %25, %09 and %0A. */
const encoded = (field: string): string => field.replace(/[%\t\n]/g, (character) => encodeURIComponent(character));
