/** WWW-Authenticate headers (RFC 9110 11.6.1), as registries send them. */

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  scheme: string;
  parameters: Record<string, string>;
}

const token = /[!#$%&'*+.^_`|~\w-]+/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;

/** Reads what it can; the rest of a malformed header is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match?.[1] ?? match?.[0];
  };
  const skip = () => take(/[\s,]*/y);
  for (skip(); at < header.length; skip()) {
    const word = take(token);
    if (word === undefined) break;
    take(/\s*/y);
    const current = challenges.at(-1);
    if (header[at] !== '=') challenges.push({ scheme: word.toLowerCase(), parameters: {} });
    else {
      at++;
      const value = header[at] === '"' ? take(quoted)?.replace(/\\(.)/g, '$1') : take(token);
      if (value === undefined || !current) break;
      current.parameters[word.toLowerCase()] = value;
    }
  }
  return challenges;
}
