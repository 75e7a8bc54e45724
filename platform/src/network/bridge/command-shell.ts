/**
 * A shell kept open to start short commands from: forking this process takes 5 ms and more, and stops its event loop meanwhile;
 * a shell of one megabyte does it in one. Owns one child, which ends with this process or with its own failure (and is then
 * started again). One command at a time.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';

export interface CommandResult {
  code: number;
  /** stdout and stderr as they came; cut at 1 MiB. */
  output: string;
}

type Shell = ChildProcessByStdio<Writable, Readable, null>;

const timeoutMs = 30_000;
const maxOutput = 1 << 20;

export class CommandShell {
  readonly #clock: Clock;
  #shell: Shell | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** `command` is shell text of our own making, never anybody's input. Throws InternalError when the shell died, Timeout after 30 s. */
  run(command: string, input: string): Promise<CommandResult> {
    const result = this.#tail.then(() => this.#runAlone(command, input));
    this.#tail = result.catch(() => {});
    return result;
  }

  async #runAlone(command: string, input: string): Promise<CommandResult> {
    const shell = this.#open();
    // Nobody can write this line into `input` by chance or on purpose.
    const mark = `end-${randomBytes(12).toString('hex')}`;
    const timer = new AbortController();
    (shell.stdout as Socket).ref();
    try {
      const result = this.#read(shell, mark);
      const timeout = this.#clock.sleep(timeoutMs, timer.signal).then(() => {
        shell.kill('SIGKILL');
        throw new SampanError('Timeout', `${command} did not end within ${timeoutMs} ms`);
      });
      shell.stdin.write(`${command} <<'${mark}' 2>&1; echo "${mark} $?"\n${input}\n${mark}\n`);
      return await Promise.race([result, timeout]);
    } finally {
      timer.abort();
      (shell.stdout as Socket).unref();
    }
  }

  #open(): Shell {
    if (this.#shell) return this.#shell;
    const shell = spawn('sh', ['-s'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const forget = () => {
      if (this.#shell === shell) this.#shell = undefined;
    };
    shell.on('exit', forget);
    shell.stdout.on('close', forget);
    shell.on('error', forget);
    shell.stdin.on('error', forget);
    shell.unref();
    (shell.stdin as Socket).unref();
    (shell.stdout as Socket).unref();
    shell.stdout.setEncoding('utf8');
    this.#shell = shell;
    return shell;
  }

  #read(shell: Shell, mark: string): Promise<CommandResult> {
    const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
    let output = '';
    const onData = (text: string) => {
      output += text;
      const end = new RegExp(`${mark} (\\d+)\n$`).exec(output.slice(-80));
      if (end) resolve({ code: Number(end[1]), output: output.slice(0, -end[0].length) });
      else if (output.length > maxOutput) output = output.slice(-maxOutput / 2);
    };
    const onClose = () => reject(new SampanError('InternalError', 'the shell that runs ip and nft died; try again'));
    shell.stdout.on('data', onData);
    shell.stdout.on('close', onClose);
    return promise.finally(() => {
      shell.stdout.off('data', onData);
      shell.stdout.off('close', onClose);
    });
  }
}
