/** What a server that did not come up said last, for people: its log is JSON, one line an event (pino's levels). */

const errorLevel = 50;
const mostLines = 6;

/** The errors of the log in words; where it names none, its last lines as they stand. */
export function serverWords(log: string): string[] {
  const lines = log.trimEnd().split('\n').filter(Boolean);
  const errors = lines.map(errorOf).filter((words) => words !== undefined);
  return errors.length > 0 ? [...new Set(errors)].slice(-mostLines) : lines.slice(-mostLines);
}

function errorOf(line: string): string | undefined {
  try {
    const { level, error, msg } = JSON.parse(line) as { level?: number; error?: string; msg?: string };
    return (level ?? 0) >= errorLevel ? [msg, error].filter(Boolean).join(': ') : undefined;
  } catch {
    return undefined;
  }
}

/** What to do about it, as far as its words say. */
export function serverMend(words: string[], logPath: string): string {
  const all = words.join('\n');
  if (/EADDRINUSE/.test(all))
    return 'end what holds the port (./sampan doctor tells how to find it), or set SAMPAN_LISTEN to another';
  if (/EADDRNOTAVAIL/.test(all)) return 'set SAMPAN_LISTEN to an address that this host has, such as 127.0.0.1:6443';
  if (/ENOSPC|disk is full|no space left/.test(all)) return 'free some space, or set SAMPAN_HOME to a larger disk';
  return `read ${logPath}, run ./sampan doctor`;
}
