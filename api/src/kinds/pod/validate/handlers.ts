/** Probes and lifecycle hooks: each asks by exactly one means. */
import type { LifecycleHandler, Probe } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { forbidden, invalid, invalidFor, notSupported, required } from '../../../field-errors.ts';
import { headerNameProblems, portNameProblems, portNumberProblems } from '../../../names.ts';
import type { AnyContainer } from '../pod-types.ts';

type Handler = LifecycleHandler & Pick<Probe, 'grpc'>;

const nonNegative = 'must be greater than or equal to 0';

/** `graceSeconds`: the Pod's terminationGracePeriodSeconds, which a sleeping hook has to fit in. */
export function validateHooksAndProbes(container: AnyContainer, field: string, graceSeconds: number): Cause[] {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  return [
    ...validateHook(lifecycle?.postStart, `${field}.lifecycle.postStart`, graceSeconds),
    ...validateHook(lifecycle?.preStop, `${field}.lifecycle.preStop`, graceSeconds),
    ...validateProbe(livenessProbe, `${field}.livenessProbe`, { successesMustBeOne: true }),
    ...validateProbe(readinessProbe, `${field}.readinessProbe`, { noGracePeriod: true }),
    ...validateProbe(startupProbe, `${field}.startupProbe`, { successesMustBeOne: true }),
  ];
}

function validateHook(hook: LifecycleHandler | undefined, field: string, graceSeconds: number): Cause[] {
  return hook ? validateHandler(hook, field, graceSeconds) : [];
}

function validateProbe(
  probe: Probe | undefined,
  field: string,
  rule: { successesMustBeOne?: boolean; noGracePeriod?: boolean },
): Cause[] {
  if (!probe) return [];
  const { exec, httpGet, tcpSocket, grpc } = probe;
  const causes = validateHandler({ exec, httpGet, tcpSocket, grpc }, field, 0);
  for (const name of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    if ((probe[name] ?? 0) < 0) causes.push(invalid(`${field}.${name}`, probe[name], nonNegative));
  }
  const { terminationGracePeriodSeconds: grace, successThreshold } = probe;
  if (grace !== undefined && grace <= 0) {
    causes.push(invalid(`${field}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  }
  if (rule.successesMustBeOne && successThreshold !== 1) {
    causes.push(invalid(`${field}.successThreshold`, successThreshold, 'must be 1'));
  }
  if (rule.noGracePeriod && grace !== undefined) {
    causes.push(invalid(`${field}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
  }
  return causes;
}

const kinds = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

function validateHandler(handler: Handler, field: string, graceSeconds: number): Cause[] {
  const [first, ...others] = kinds.filter((kind) => handler[kind] !== undefined);
  if (!first) return [required(field, 'must specify a handler type')];
  const extra = others.map((kind) => forbidden(`${field}.${kind}`, 'may not specify more than 1 handler type'));
  return [...validateAction(handler, first, `${field}.${first}`, graceSeconds), ...extra];
}

function validateAction(handler: Handler, kind: (typeof kinds)[number], field: string, graceSeconds: number): Cause[] {
  switch (kind) {
    case 'exec':
      return handler.exec?.command?.length ? [] : [required(`${field}.command`)];
    case 'httpGet':
      return validateHttp(handler.httpGet!, field);
    case 'tcpSocket':
      return checkPort(handler.tcpSocket!.port, `${field}.port`);
    case 'grpc':
      return checkPort(handler.grpc!.port, `${field}.port`);
    case 'sleep': {
      const { seconds } = handler.sleep!;
      if (seconds >= 0 && seconds <= graceSeconds) return [];
      const detail = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
      return [invalid(field, seconds, detail)];
    }
  }
}

const schemes = ['HTTP', 'HTTPS'];

function validateHttp(action: NonNullable<Probe['httpGet']>, field: string): Cause[] {
  const causes = action.path ? [] : [required(`${field}.path`)];
  causes.push(...checkPort(action.port, `${field}.port`));
  if (!schemes.includes(action.scheme ?? '')) causes.push(notSupported(`${field}.scheme`, action.scheme, schemes));
  for (const { name } of action.httpHeaders ?? []) {
    causes.push(...invalidFor(`${field}.httpHeaders`, name, headerNameProblems(name)));
  }
  return causes;
}

/** A number, or the name of one of the container's ports. */
function checkPort(port: string | number | undefined, field: string): Cause[] {
  if (typeof port === 'string') return invalidFor(field, port, portNameProblems(port));
  return invalidFor(field, port ?? 0, portNumberProblems(port ?? 0));
}
