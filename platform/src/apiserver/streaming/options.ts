/** The query of exec, attach, port-forward and log, as PodExecOptions, PodAttachOptions, PodPortForwardOptions and PodLogOptions (core/v1). Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type { ExecOptions, LogOptions } from '../../node/gateway.ts';

const maxCommandBytes = 1 << 20;
const maxPorts = 100;

/** strconv.ParseBool, which the API server reads query booleans with. */
function boolean(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  if (value === null || value === '') return false;
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false;
  throw new SampanError('BadRequest', `${name} is "${value}"; wanted true or false`);
}

/** A whole number of at least `min`; undefined when absent. */
function integer(query: URLSearchParams, name: string, min: number): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || !Number.isSafeInteger(number)) {
    throw new SampanError('BadRequest', `${name} is "${value}"; wanted a whole number`);
  }
  if (number < min) {
    const message = `must be greater than or equal to ${min}`;
    const causes = [{ reason: 'FieldValueInvalid', field: name, message: `Invalid value: ${value}: ${message}` }];
    throw new SampanError('Invalid', `PodLogOptions is invalid: ${name}: ${message}`, {
      kind: 'PodLogOptions',
      causes,
    });
  }
  return number;
}

/** Attach has no command. With a tty there is no stderr of its own. Throws BadRequest. */
export function readAttachOptions(query: URLSearchParams, container: string): Omit<ExecOptions, 'command'> {
  const tty = boolean(query, 'tty');
  const options = {
    container,
    stdin: boolean(query, 'stdin'),
    stdout: boolean(query, 'stdout'),
    stderr: boolean(query, 'stderr') && !tty,
    tty,
  };
  if (!options.stdin && !options.stdout && !options.stderr) {
    throw new SampanError('BadRequest', 'you must specify at least one of stdin, stdout, stderr');
  }
  return options;
}

export function readExecOptions(query: URLSearchParams, container: string): ExecOptions {
  const command = query.getAll('command');
  if (command.length === 0)
    throw new SampanError('BadRequest', 'you must specify at least 1 command for the container');
  if (command.join('').length > maxCommandBytes) {
    throw new SampanError('BadRequest', `the command is longer than ${maxCommandBytes} bytes`);
  }
  return { ...readAttachOptions(query, container), command };
}

/** Throws BadRequest naming the text. */
export function readPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new SampanError('BadRequest', `port is "${text}"; wanted a number from 1 to 65535`);
}

/** The ports of a WebSocket that forwards without SPDY; several parameters, or commas. Throws BadRequest. */
export function readPorts(query: URLSearchParams): number[] {
  const ports = [...query.getAll('ports'), ...query.getAll('port')].flatMap((text) => text.split(',')).map(readPort);
  if (ports.length === 0) throw new SampanError('BadRequest', 'you must specify at least one port in "ports"');
  if (ports.length > maxPorts)
    throw new SampanError('BadRequest', `${ports.length} ports; at most ${maxPorts} at once`);
  return ports;
}

/** Throws BadRequest, Invalid (with the field as its cause), or Unsupported for what this build does not do. */
export function readLogOptions(query: URLSearchParams, container: string, nowMs: number): LogOptions {
  const stream = query.get('stream');
  if (stream && stream !== 'All')
    throw new SampanError('Unsupported', `stream=${stream} is not supported; leave it out`);
  return {
    container,
    follow: boolean(query, 'follow'),
    previous: boolean(query, 'previous'),
    timestamps: boolean(query, 'timestamps'),
    tailLines: integer(query, 'tailLines', 0),
    limitBytes: integer(query, 'limitBytes', 1),
    sinceTime: sinceTime(query, nowMs),
  };
}

function sinceTime(query: URLSearchParams, nowMs: number): Date | undefined {
  const seconds = integer(query, 'sinceSeconds', 1);
  const time = query.get('sinceTime');
  if (seconds !== undefined && time) {
    throw new SampanError('Invalid', 'at most one of sinceTime or sinceSeconds may be specified');
  }
  if (seconds !== undefined) return new Date(nowMs - seconds * 1000);
  if (!time) return undefined;
  const parsed = new Date(time);
  if (Number.isNaN(parsed.getTime())) throw new SampanError('BadRequest', `sinceTime is "${time}"; wanted RFC 3339`);
  return parsed;
}
