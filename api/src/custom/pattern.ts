/**
 * Matches the patterns of schemas in time linear in the value, as RE2 does: whoever writes a pattern must not be able to stop the server with
 * it, which a backtracking engine would let him. All ways through the pattern are followed side by side (Thompson's construction).
 */
import { type Assertion, type PatternNode, parsePattern } from './pattern-parser.ts';

type Instruction =
  | { do: 'one'; ascii: Uint8Array; test: RegExp }
  | { do: 'assert'; kind: Assertion }
  /** Go on at both. */
  | { do: 'fork'; to: number[] }
  | { do: 'match' };

const maxInstructions = 5000;
/** Instructions times characters that one match may take. */
const maxWork = 2_000_000_000;
const maxCached = 500;
const cache = new Map<string, (value: string) => boolean>();

/** Whether the pattern is found anywhere in a value. Throws SyntaxError for a pattern RE2 would refuse, or one that is too large. */
export function compilePattern(text: string): (value: string) => boolean {
  let matches = cache.get(text);
  if (!matches) {
    const program = new Builder().program(parsePattern(text));
    matches = (value) => run(program, value);
    if (cache.size >= maxCached) cache.clear();
    cache.set(text, matches);
  }
  return matches;
}

class Builder {
  readonly #program: Instruction[] = [];

  program(node: PatternNode): Instruction[] {
    this.#add(node);
    this.#emit({ do: 'match' });
    return this.#program;
  }

  #emit<T extends Instruction>(instruction: T): T {
    if (this.#program.length >= maxInstructions) throw new SyntaxError('expression is too large');
    this.#program.push(instruction);
    return instruction;
  }

  #add(node: PatternNode): void {
    switch (node.form) {
      case 'one':
        this.#emit({ do: 'one', test: node.test, ascii: asciiOf(node.test) });
        return;
      case 'assert':
        this.#emit({ do: 'assert', kind: node.kind });
        return;
      case 'sequence':
        for (const one of node.of) this.#add(one);
        return;
      case 'choice':
        this.#choice(node.of);
        return;
      case 'repeat':
        this.#repeat(node);
    }
  }

  #choice(of: PatternNode[]): void {
    const fork = this.#emit({ do: 'fork', to: [] as number[] });
    const ends = of.map((one) => {
      fork.to.push(this.#program.length);
      this.#add(one);
      return this.#emit({ do: 'fork', to: [] as number[] });
    });
    for (const end of ends) end.to.push(this.#program.length);
  }

  #repeat({ of, min, max }: Extract<PatternNode, { form: 'repeat' }>): void {
    for (let i = 0; i < min; i++) {
      const before = this.#program.length;
      this.#add(of);
      // Nothing, repeated, is nothing.
      if (this.#program.length === before) return;
    }
    if (max === Number.POSITIVE_INFINITY) {
      const fork = this.#emit({ do: 'fork', to: [this.#program.length + 1] });
      const start = this.#program.length - 1;
      this.#add(of);
      this.#emit({ do: 'fork', to: [start] });
      fork.to.push(this.#program.length);
      return;
    }
    const forks: { to: number[] }[] = [];
    for (let i = min; i < max; i++) {
      forks.push(this.#emit({ do: 'fork', to: [this.#program.length + 1] }));
      this.#add(of);
    }
    for (const fork of forks) fork.to.push(this.#program.length);
  }
}

function asciiOf(test: RegExp): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (test.test(String.fromCharCode(code)) ? 1 : 0));
}

function run(program: Instruction[], value: string): boolean {
  if (program.length * value.length > maxWork) return false;
  const text = [...value];
  let threads: number[] = [];
  const seen = new Uint32Array(program.length);
  for (let at = 0; at <= text.length; at++) {
    // Found anywhere: a new attempt begins at every character.
    const reached = close(program, [...threads, 0], { text, at, seen });
    if (reached === 'match') return true;
    if (at === text.length) return false;
    threads = step(program, reached, text[at]!);
  }
  return false;
}

interface Position {
  text: string[];
  at: number;
  /** By instruction: the position, counted from one, at which it was last reached. */
  seen: Uint32Array;
}

/** The instructions that wait for a character, reached from `threads` without taking one. */
function close(program: Instruction[], threads: number[], position: Position): number[] | 'match' {
  const waiting: number[] = [];
  const stack = threads.reverse();
  const mark = position.at + 1;
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (position.seen[at] === mark) continue;
    position.seen[at] = mark;
    const instruction = program[at]!;
    if (instruction.do === 'match') return 'match';
    if (instruction.do === 'one') waiting.push(at);
    else if (instruction.do === 'fork') stack.push(...instruction.to);
    else if (holds(instruction.kind, position)) stack.push(at + 1);
  }
  return waiting;
}

function step(program: Instruction[], threads: number[], character: string): number[] {
  const code = character.codePointAt(0)!;
  return threads.flatMap((at) => {
    const { ascii, test } = program[at] as Extract<Instruction, { do: 'one' }>;
    return (code < 128 ? ascii[code] === 1 : test.test(character)) ? [at + 1] : [];
  });
}

function holds(kind: Assertion, { text, at }: Position): boolean {
  switch (kind) {
    case 'text-start':
      return at === 0;
    case 'text-end':
      return at === text.length;
    case 'line-start':
      return at === 0 || text[at - 1] === '\n';
    case 'line-end':
      return at === text.length || text[at] === '\n';
    default:
      return (isWord(text[at - 1]) !== isWord(text[at])) === (kind === 'word');
  }
}

const isWord = (character: string | undefined) => character !== undefined && /^\w$/.test(character);
