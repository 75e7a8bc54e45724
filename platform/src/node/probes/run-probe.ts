/** Makes one probe of a container. */
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Container, Probe } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { grpcCheck } from './grpc-check.ts';
import { httpGet } from './http-get.ts';
import type { Outcome } from './outcome.ts';
import { portNumber } from './port-number.ts';
import { tcpConnect } from './tcp-connect.ts';

export interface ProbeInput {
  container: Container;
  probe: Probe;
  containerId: string;
  podIPs: string[];
  runtime: Runtime;
  clock: Clock;
}

const longestOutput = 10 * 1024;

/** Never throws. */
export async function runProbe(input: ProbeInput): Promise<Outcome> {
  try {
    const outcome = await dispatch(input);
    return { ...outcome, output: outcome.output.slice(0, longestOutput) };
  } catch (error) {
    // The Pod does not answer: that is what a probe is for. Anything else is no word about the Pod.
    const failed = isReason(error, 'Timeout', 'ServiceUnavailable');
    return { result: failed ? 'failure' : 'unknown', output: messageOf(error) };
  }
}

function dispatch(input: ProbeInput): Promise<Outcome> {
  const { probe } = input;
  if (probe.exec) return exec(input, probe.exec.command ?? []);
  if (probe.httpGet) return http(input, probe.httpGet);
  if (probe.tcpSocket) return tcp(input, probe.tcpSocket);
  if (probe.grpc) return grpc(input, probe.grpc);
  return Promise.resolve({ result: 'unknown', output: `missing probe handler for ${input.container.name}` });
}

const timeoutMsOf = ({ probe }: ProbeInput): number => (probe.timeoutSeconds || 1) * 1000;

async function exec(input: ProbeInput, command: string[]): Promise<Outcome> {
  const seconds = timeoutMsOf(input) / 1000;
  try {
    const answer = await input.runtime.execSync({
      containerId: input.containerId,
      cmd: command,
      timeout: BigInt(seconds),
    });
    const output = Buffer.concat([answer.stdout ?? new Uint8Array(), answer.stderr ?? new Uint8Array()]).toString(
      'utf8',
    );
    return { result: answer.exitCode === 0 ? 'success' : 'failure', output };
  } catch (error) {
    if (!isReason(error, 'Timeout')) throw error;
    return { result: 'failure', output: `command timed out: "${command.join(' ')}" timed out after ${seconds}s` };
  }
}

async function http(input: ProbeInput, get: NonNullable<Probe['httpGet']>): Promise<Outcome> {
  const host = get.host || input.podIPs[0] || '';
  const answer = await httpGet({
    host,
    port: portNumber(input.container, get.port),
    path: get.path,
    scheme: get.scheme,
    headers: get.httpHeaders,
    timeoutMs: timeoutMsOf(input),
    clock: input.clock,
  });
  if (answer.redirectedTo)
    return { result: 'warning', output: `Probe terminated redirects, Response body: ${answer.body}` };
  if (answer.status >= 200 && answer.status < 400) return { result: 'success', output: answer.body };
  return { result: 'failure', output: `HTTP probe failed with statuscode: ${answer.status}` };
}

async function tcp(input: ProbeInput, socket: NonNullable<Probe['tcpSocket']>): Promise<Outcome> {
  const host = socket.host || input.podIPs[0] || '';
  const port = portNumber(input.container, socket.port);
  await tcpConnect({ host, port, timeoutMs: timeoutMsOf(input), clock: input.clock });
  return { result: 'success', output: '' };
}

function grpc(input: ProbeInput, check: NonNullable<Probe['grpc']>): Promise<Outcome> {
  return grpcCheck({
    host: input.podIPs[0] || '',
    port: check.port,
    service: check.service ?? '',
    timeoutMs: timeoutMsOf(input),
    clock: input.clock,
  });
}
