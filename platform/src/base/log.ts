/** The log: one JSON line an event on stderr or a file; words on a terminal, where people read. No secret, token or environment variable is ever passed to it. */
import { SampanError } from '@sampan/api/errors.ts';
import { type DestinationStream, pino } from 'pino';

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** What is kept of a log that cannot be written now (its disk is full), in bytes; the rest is lost, and nothing else is. */
const maxUnwritten = 256 * 1024;

export function createLogger(options: { level?: string; file?: string } = {}): Logger {
  const where = options.file ? { dest: options.file, mkdir: true } : { dest: 2 };
  const destination = pino.destination({ ...where, sync: true, maxLength: maxUnwritten });
  // What could not be written is tried again with the next line: a log is no reason to end.
  destination.on('error', () => {});
  const isRead = !options.file && process.stderr.isTTY;
  const stream: DestinationStream = isRead ? { write: (line) => destination.write(logWords(line)) } : destination;
  return pino({ level: options.level ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

/** A line of the log for people: the time of day, how grave it is unless it is news, the message, and what belongs to it but where in the code it arose. */
export function logWords(line: string): string {
  const { level, time, msg, stack: _stack, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const grave = level === 30 ? '' : `${pino.levels.labels[Number(level)]}: `;
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  // A guest's words may be among them: no terminal takes orders from those.
  const text = [msg, ...rest].join(' ').replace(/\p{Cc}+/gu, ' ');
  return `${String(time).slice(11, 19)} ${grave}${text}\n`;
}

const levels = ['debug', 'info', 'warn', 'error'];

/** What SAMPAN_LOG_LEVEL says. Without it people at a terminal read warnings, who keeps the log gets all of it. Throws Invalid. */
export function logLevel(text = process.env.SAMPAN_LOG_LEVEL, isTerminal = process.stderr.isTTY): string {
  if (!text) return isTerminal ? 'warn' : 'info';
  if (levels.includes(text)) return text;
  throw new SampanError('Invalid', `SAMPAN_LOG_LEVEL=${text} is no level; wanted one of ${levels.join(', ')}`);
}

/** For tests. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
