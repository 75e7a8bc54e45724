/** Label selectors (apimachinery labels): from text, from LabelSelector objects, and what they match. */
import { SampanError } from '../errors.ts';
import { labelValueProblems, qualifiedNameProblems } from '../names.ts';
import { tokenize } from './label-tokens.ts';

export type LabelOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

export interface LabelRequirement {
  key: string;
  operator: LabelOperator;
  /** Empty for Exists and DoesNotExist, one number for Gt and Lt. */
  values: string[];
}

/** meta/v1 LabelSelector. */
export interface LabelSelectorObject {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. No requirement matches everything. Throws BadRequest. */
export function parseLabelSelector(text: string): LabelRequirement[] {
  return new Parser(text).parse();
}

/** All requirements hold. A missing label satisfies NotIn and DoesNotExist alone. */
export function matchesLabels(requirements: LabelRequirement[], labels: Record<string, string> = {}): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/** Throws BadRequest for an operator or values that make no sense. An absent or empty selector matches everything. */
export function fromLabelSelectorObject(selector: LabelSelectorObject): LabelRequirement[] {
  const equal = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => checked(key, 'In', [value]));
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator)) {
      throw new SampanError('BadRequest', `"${operator}" is not a valid label selector operator`);
    }
    return checked(key, operator as LabelOperator, values);
  });
  return [...equal, ...expressions];
}

/** One requirement, of a label selector or a node's (whose operators are the same). A Gt or Lt without a whole number is never met. */
export function matchesRequirement(
  { key, operator, values }: LabelRequirement,
  labels: Record<string, string>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const [bound] = values;
      if (value === undefined || bound === undefined || !isInteger(value) || !isInteger(bound)) return false;
      return operator === 'Gt' ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound);
    }
  }
}

const isInteger = (text: string) => /^[+-]?\d{1,19}$/.test(text);

function checked(key: string, operator: LabelOperator, values: string[]): LabelRequirement {
  const refuse = (field: string, value: string, why: string) =>
    new SampanError(
      'BadRequest',
      `unable to parse requirement: ${field}: Invalid value: ${JSON.stringify(value)}: ${why}`,
    );
  const [problem] = qualifiedNameProblems(key);
  if (problem) throw refuse('<nil>', key, problem);
  const isSet = operator === 'In' || operator === 'NotIn';
  if (isSet && values.length === 0) {
    throw refuse('values', key, "for 'in', 'notin' operators, values set can't be empty");
  }
  if (!isSet && operator.includes('xist') && values.length > 0) {
    throw refuse('values', values[0]!, 'values set must be empty for exists and does not exist');
  }
  for (const [i, value] of values.entries()) {
    if ((operator === 'Gt' || operator === 'Lt') && !isInteger(value)) {
      throw refuse(`values[${i}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer");
    }
    const [wrong] = labelValueProblems(value);
    if (wrong) throw refuse(`values[${i}][${key}]`, value, wrong);
  }
  return { key, operator, values };
}

/** requirement {"," requirement}, over the tokens of label-tokens.ts. */
class Parser {
  readonly #tokens: string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    if (this.#tokens.length === 0) return requirements;
    for (;;) {
      requirements.push(this.#requirement());
      const token = this.#next();
      if (token === undefined) return requirements;
      if (token !== ',') throw this.#unexpected(token, "',' or 'end of string'");
    }
  }

  #next(): string | undefined {
    return this.#tokens[this.#at++];
  }

  #requirement(): LabelRequirement {
    const first = this.#next();
    if (first === '!') return checked(this.#word(this.#next()), 'DoesNotExist', []);
    const key = this.#word(first);
    const operator = this.#tokens[this.#at];
    if (operator === undefined || operator === ',') return checked(key, 'Exists', []);
    this.#at += 1;
    switch (operator) {
      case '=':
      case '==':
        return checked(key, 'In', [this.#value()]);
      case '!=':
        return checked(key, 'NotIn', [this.#value()]);
      case '>':
        return checked(key, 'Gt', [this.#value()]);
      case '<':
        return checked(key, 'Lt', [this.#value()]);
      case 'in':
        return checked(key, 'In', this.#set());
      case 'notin':
        return checked(key, 'NotIn', this.#set());
      default:
        throw this.#unexpected(operator, 'in, notin, =, ==, !=, gt, lt');
    }
  }

  #word(token: string | undefined): string {
    if (token === undefined || isSymbol(token)) throw this.#unexpected(token, 'identifier');
    return token;
  }

  /** May be empty: `a=` and `a=,b`. */
  #value(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined || token === ',') return '';
    this.#at += 1;
    return this.#word(token);
  }

  #set(): string[] {
    const open = this.#next();
    if (open !== '(') throw this.#unexpected(open, "'('");
    const values: string[] = [];
    let isValueDue = true;
    for (;;) {
      const token = this.#next();
      if (token === ')') {
        if (isValueDue) values.push('');
        return [...new Set(values)].sort();
      }
      if (token === ',') {
        if (isValueDue) values.push('');
        isValueDue = true;
      } else if (isValueDue) {
        values.push(this.#word(token));
        isValueDue = false;
      } else throw this.#unexpected(token, "',' or ')'");
    }
  }

  #unexpected(token: string | undefined, expected: string): SampanError {
    return new SampanError('BadRequest', `unable to parse requirement: found '${token ?? ''}', expected: ${expected}`);
  }
}

const isSymbol = (token: string) => /^[(),!=<>]/.test(token);

/** As text, the way kubectl and Scale show it: `a=b,c in (d,e),!f`. An empty selector is the empty text. */
export function formatLabelSelector(selector: LabelSelectorObject): string {
  const text: Record<string, (key: string, values: string) => string> = {
    In: (key, values) => `${key} in (${values})`,
    NotIn: (key, values) => `${key} notin (${values})`,
    Exists: (key) => key,
    DoesNotExist: (key) => `!${key}`,
  };
  const terms = [
    ...Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` })),
    ...(selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => ({
      key,
      text: text[operator]?.(key, [...values].sort().join(',')) ?? '',
    })),
  ];
  return terms
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((term) => term.text)
    .join(',');
}
