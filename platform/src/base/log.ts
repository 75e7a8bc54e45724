/** The log: one JSON line an event on stderr or a file. No secret, token or environment variable is ever passed to it. */
import { type DestinationStream, pino } from 'pino';

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export function createLogger(options: { level?: string; file?: string } = {}): Logger {
  const destination: DestinationStream = options.file
    ? pino.destination({ dest: options.file, sync: true, mkdir: true })
    : pino.destination({ dest: 2, sync: true });
  return pino({ level: options.level ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

/** For tests. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
