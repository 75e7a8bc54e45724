/**
 * The part of JSONPath (k8s.io/client-go/util/jsonpath) that printer columns use: members, indexes, [*], and filters that compare a member
 * with a constant. Slices, unions, recursive descent and scripts are refused.
 */
import { getMember, isJsonObject } from '../json.ts';

type Step =
  | { take: 'member'; name: string }
  | { take: 'index'; index: number }
  | { take: 'all' }
  | { take: 'where'; path: Step[]; operator: '==' | '!='; value: unknown };

export interface JsonPath {
  /** What the path leads to: nothing, one value, or several. */
  find(root: unknown): unknown[];
  /** The members it names, when it is nothing but members: `.spec.replicas`. */
  members: string[] | undefined;
}

/** Values one path may lead to; the rest is not looked at. */
const maxFound = 1000;

/** Throws SyntaxError saying what is wrong. */
export function parseJsonPath(text: string): JsonPath {
  const steps = stepsOf(text);
  const members = steps.map((step) => (step.take === 'member' ? step.name : undefined));
  return {
    find: (root) => follow(root, steps),
    members: members.includes(undefined) ? undefined : (members as string[]),
  };
}

const patterns = {
  member: /\.((?:[^.[\]\\*'"()\s]|\\.)+)/y,
  quoted: /\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]/y,
  index: /\[\s*(-?\d{1,9})\s*\]/y,
  all: /\[\s*\*\s*\]|\.\*/y,
  where:
    /\[\?\(\s*@((?:[^=!"'()\]]|\[\d+\])+?)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|(-?\d+(?:\.\d+)?|true|false))\s*\)\]/y,
};

function stepsOf(text: string): Step[] {
  if (!/^[.[]/.test(text)) throw new SyntaxError(`"${text}" does not begin with a dot`);
  const steps: Step[] = [];
  let at = 0;
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  while (at < text.length) {
    const step = nextStep(match);
    if (!step)
      throw new SyntaxError(`"${text}" is not supported from character ${at + 1}: "${text.slice(at, at + 20)}"`);
    steps.push(step);
  }
  return steps;
}

function nextStep(match: (pattern: RegExp) => RegExpExecArray | null): Step | undefined {
  let found = match(patterns.all);
  if (found) return { take: 'all' };
  found = match(patterns.member) ?? match(patterns.quoted);
  if (found) return { take: 'member', name: (found[1] ?? found[2] ?? '').replace(/\\(.)/g, '$1') };
  found = match(patterns.index);
  if (found) return { take: 'index', index: Number(found[1]) };
  found = match(patterns.where);
  if (!found) return undefined;
  const [, path = '', operator, double, single, plain] = found;
  const value = double ?? single ?? JSON.parse(plain as string);
  return { take: 'where', path: stepsOf(path), operator: operator as '==' | '!=', value };
}

function follow(root: unknown, steps: Step[]): unknown[] {
  let values = [root];
  for (const step of steps) values = values.flatMap((value) => taken(value, step)).slice(0, maxFound);
  return values;
}

function taken(value: unknown, step: Step): unknown[] {
  if (step.take === 'member') {
    const member = isJsonObject(value) ? getMember(value, step.name) : undefined;
    return member === undefined ? [] : [member];
  }
  if (step.take === 'all') return Array.isArray(value) ? value : isJsonObject(value) ? Object.values(value) : [];
  if (!Array.isArray(value)) return [];
  if (step.take === 'index') {
    const item = value.at(step.index);
    return item === undefined ? [] : [item];
  }
  return value.filter((item) => {
    const [found] = follow(item, step.path);
    return found !== undefined && (found === step.value) === (step.operator === '==');
  });
}
