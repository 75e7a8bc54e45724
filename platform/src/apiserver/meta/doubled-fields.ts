/**
 * Fields that stand twice in one object of a JSON body. The parser keeps the last and says nothing; clients that asked for strict or warning
 * validation are to be told (fieldValidation, KEP-2885). What was found is remembered with the parsed body for whoever decodes it.
 */

/** Larger bodies are not searched. */
const maxSearched = 1024 * 1024;
const maxTold = 20;
const found = new WeakMap<object, string[]>();
const tokens = /"((?:[^"\\]|\\.)*)"|[{}[\],:]/gs;

/** `body` is what `text` was parsed to. */
export function noteDoubledFields(body: unknown, text: string): void {
  if (typeof body !== 'object' || body === null || text.length > maxSearched) return;
  // What compact encoders write is as long as it would be written again: the usual case costs no search.
  if (JSON.stringify(body).length === text.trimEnd().length) return;
  const doubled = doubledFields(text);
  if (doubled.length > 0) found.set(body, doubled);
}

/** Paths such as `spec.containers[0].image`. */
export function doubledFieldsOf(body: object): string[] {
  return found.get(body) ?? [];
}

interface Level {
  path: string;
  /** Undefined within a list. */
  names: Set<string> | undefined;
  /** Where the member that is being read stands. */
  at: string;
  index: number;
}

/** Of a text that is JSON. */
export function doubledFields(text: string): string[] {
  const doubled: string[] = [];
  const levels: Level[] = [];
  let last = '';
  for (const [token, string] of text.matchAll(tokens)) {
    const level = levels.at(-1);
    if (token === '{' || token === '[') {
      const names = token === '{' ? new Set<string>() : undefined;
      const path = level?.at ?? '';
      levels.push({ path, names, at: names ? path : `${path}[0]`, index: 0 });
    } else if (token === '}' || token === ']') levels.pop();
    else if (token === ',' && level && !level.names) level.at = `${level.path}[${++level.index}]`;
    else if (token === ':' && level?.names) {
      level.at = level.path ? `${level.path}.${last}` : last;
      if (level.names.has(last) && doubled.length < maxTold) doubled.push(level.at);
      level.names.add(last);
    } else if (string !== undefined) last = string.includes('\\') ? JSON.parse(token) : string;
  }
  return doubled;
}
