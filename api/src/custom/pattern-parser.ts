/**
 * Reads the regular expressions of schemas: RE2's syntax (github.com/google/re2/wiki/Syntax), which Kubernetes uses. It owns syntax; matching
 * is pattern.ts. One character's test is left to the language's own RegExp, which cannot backtrack over one character.
 */

export type PatternNode =
  | { form: 'one'; test: RegExp }
  | { form: 'assert'; kind: Assertion }
  | { form: 'sequence'; of: PatternNode[] }
  | { form: 'choice'; of: PatternNode[] }
  | { form: 'repeat'; of: PatternNode; min: number; max: number };

export type Assertion = 'text-start' | 'text-end' | 'line-start' | 'line-end' | 'word' | 'not-word';

interface Flags {
  ignoreCase: boolean;
  multiline: boolean;
  dotAll: boolean;
}

const maxLength = 4096;
const maxDepth = 100;
/** As RE2's. */
const maxRepeat = 1000;

/** Throws SyntaxError for what RE2 does not know, back-references and look-around among them. */
export function parsePattern(text: string): PatternNode {
  if (text.length > maxLength) throw new SyntaxError(`longer than ${maxLength} characters`);
  const parser = new Parser(text);
  const node = parser.choice({ ignoreCase: false, multiline: false, dotAll: false }, 0);
  parser.expectEnd();
  return node;
}

const posixClasses: Record<string, string> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`\\{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** RE2's classes know ASCII alone. */
const perlClasses: Record<string, string> = {
  d: '0-9',
  D: '\\x00-\\x2F\\x3A-\\u{10FFFF}',
  w: '0-9A-Za-z_',
  W: '\\x00-\\x2F\\x3A-\\x40\\x5B-\\x5E\\x60\\x7B-\\u{10FFFF}',
  s: '\\t\\n\\f\\r ',
  S: '\\x00-\\x08\\x0B\\x0E-\\x1F\\x21-\\u{10FFFF}',
};

const controls: Record<string, string> = { a: '\\x07', f: '\\f', n: '\\n', r: '\\r', t: '\\t', v: '\\v' };

class Parser {
  readonly #characters: string[];
  #at = 0;

  constructor(text: string) {
    this.#characters = [...text];
  }

  expectEnd(): void {
    if (this.#at < this.#characters.length) throw new SyntaxError('unexpected )');
  }

  /** Flags set within stay within. */
  choice(outer: Flags, depth: number): PatternNode {
    if (depth > maxDepth) throw new SyntaxError(`nested deeper than ${maxDepth}`);
    const flags = { ...outer };
    const of = [this.#sequence(flags, depth)];
    while (this.#take('|')) of.push(this.#sequence(flags, depth));
    return of.length === 1 ? of[0]! : { form: 'choice', of };
  }

  #sequence(flags: Flags, depth: number): PatternNode {
    const of: PatternNode[] = [];
    while (this.#at < this.#characters.length && !['|', ')'].includes(this.#peek())) {
      const atom = this.#atom(flags, depth);
      if (atom) of.push(this.#repeated(atom));
    }
    return { form: 'sequence', of };
  }

  #repeated(atom: PatternNode): PatternNode {
    const bounds = this.#bounds();
    if (!bounds) return atom;
    this.#take('?');
    if (this.#bounds()) throw new SyntaxError('invalid nested repetition operator');
    const [min, max] = bounds;
    return { form: 'repeat', of: atom, min, max };
  }

  #bounds(): [number, number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    const counted = /^\{(\d{1,5})(,(\d{0,5}))?\}/.exec(this.#characters.slice(this.#at, this.#at + 14).join(''));
    if (!counted) return undefined;
    this.#at += counted[0].length;
    const min = Number(counted[1]);
    const max = counted[2] === undefined ? min : counted[3] ? Number(counted[3]) : Number.POSITIVE_INFINITY;
    if (min > maxRepeat || (max !== Number.POSITIVE_INFINITY && max > maxRepeat) || max < min) {
      throw new SyntaxError(`invalid repeat count ${counted[0]}`);
    }
    return [min, max];
  }

  #atom(flags: Flags, depth: number): PatternNode | undefined {
    const character = this.#next();
    switch (character) {
      case '^':
        return { form: 'assert', kind: flags.multiline ? 'line-start' : 'text-start' };
      case '$':
        return { form: 'assert', kind: flags.multiline ? 'line-end' : 'text-end' };
      case '.':
        return one(flags.dotAll ? '[\\s\\S]' : '[^\\n]', flags);
      case '(':
        return this.#group(flags, depth);
      case '[':
        return one(this.#class(), flags);
      case '\\':
        return this.#escape(flags);
      case '*':
      case '+':
      case '?':
        throw new SyntaxError(`missing argument to repetition operator: ${character}`);
      default:
        return one(literal(character), flags);
    }
  }

  #group(flags: Flags, depth: number): PatternNode | undefined {
    let inner = flags;
    if (this.#take('?')) {
      const head = /^(?:P?<[A-Za-z_]\w*>|([imsU]*)(?:-([imsU]+))?([:)]))/.exec(
        this.#characters.slice(this.#at).join(''),
      );
      if (!head) throw new SyntaxError('invalid or unsupported Perl syntax: look-around and the like are not in RE2');
      this.#at += head[0].length;
      const [, on = '', off = '', end] = head;
      const set = (flag: string, before: boolean) => (on.includes(flag) || before) && !off.includes(flag);
      const next = {
        ignoreCase: set('i', flags.ignoreCase),
        multiline: set('m', flags.multiline),
        dotAll: set('s', flags.dotAll),
      };
      if (end === ')') {
        Object.assign(flags, next);
        return undefined;
      }
      inner = next;
    }
    const node = this.choice(inner, depth + 1);
    if (!this.#take(')')) throw new SyntaxError('missing closing )');
    return node;
  }

  #escape(flags: Flags): PatternNode {
    const character = this.#next();
    const asserted: Record<string, Assertion> = { A: 'text-start', z: 'text-end', b: 'word', B: 'not-word' };
    if (Object.hasOwn(asserted, character)) return { form: 'assert', kind: asserted[character]! };
    return one(`[${this.#escaped(character)}]`, flags);
  }

  /** What stands for `\character` within brackets. */
  #escaped(character: string): string {
    if (Object.hasOwn(perlClasses, character)) return perlClasses[character]!;
    if (Object.hasOwn(controls, character)) return controls[character]!;
    if (character === 'p' || character === 'P') return this.#property(character);
    if (character === 'x') return this.#hex();
    if (/^[0-9A-Za-z]$/.test(character)) throw new SyntaxError(`invalid escape sequence: \\${character}`);
    return literal(character);
  }

  #property(character: string): string {
    const name = this.#take('{') ? this.#until('}') : this.#next();
    try {
      new RegExp(`\\p{${name}}`, 'u');
      return `\\${character}{${name}}`;
    } catch {
      const script = `\\${character}{Script=${name}}`;
      new RegExp(script, 'u');
      return script;
    }
  }

  #hex(): string {
    const digits = this.#take('{') ? this.#until('}') : this.#next() + this.#next();
    if (!/^[0-9A-Fa-f]{1,6}$/.test(digits)) throw new SyntaxError(`invalid escape sequence: \\x${digits}`);
    return `\\u{${digits}}`;
  }

  #class(): string {
    let inside = this.#take('^') ? '^' : '';
    // A dash that stands after a class, first or last is a dash.
    let plainDash = true;
    for (let first = true; ; first = false) {
      const character = this.#next();
      if (character === ']' && !first) return `[${inside}]`;
      let part = literal(character);
      let isClass = false;
      if (character === '[' && this.#peek() === ':') {
        part = this.#posix();
        isClass = true;
      } else if (character === '\\') {
        isClass = /[dDwWsSpP]/.test(this.#peek());
        part = this.#escaped(this.#next());
      } else if (character === '-' && !plainDash && this.#peek() !== ']') part = '-';
      inside += part;
      plainDash = isClass;
    }
  }

  #posix(): string {
    const name = this.#until(']').replace(/^:|:$/g, '');
    if (!Object.hasOwn(posixClasses, name)) throw new SyntaxError(`invalid character class range: [:${name}:]`);
    return posixClasses[name]!;
  }

  #until(end: string): string {
    let text = '';
    for (let next = this.#next(); next !== end; next = this.#next()) text += next;
    return text;
  }

  #peek(): string {
    return this.#characters[this.#at] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw new SyntaxError('unexpected end of the pattern');
    return character;
  }
}

function literal(character: string): string {
  return /^[\^$\\.*+?()[\]{}|/-]$/.test(character) ? `\\${character}` : character;
}

function one(source: string, { ignoreCase }: Flags): PatternNode {
  const text = source.startsWith('[') ? source : `[${source}]`;
  return { form: 'one', test: new RegExp(text, ignoreCase ? 'iu' : 'u') };
}
