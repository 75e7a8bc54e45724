/** The log: one JSON line an event on stderr or a file. No secret, token or environment variable is ever passed to it. */
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
  const stream: DestinationStream = destination;
  return pino({ level: options.level ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

const levels = ['debug', 'info', 'warn', 'error'];

/** What SAMPAN_LOG_LEVEL says. Throws Invalid. */
export function logLevel(text = process.env.SAMPAN_LOG_LEVEL): string {
  if (!text) return 'info';
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
