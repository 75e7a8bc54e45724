/** Pods for the tests of the Pod kind. */
import { podKind } from './pod.ts';

// biome-ignore lint/suspicious/noExplicitAny: these objects are built and broken field by field
export type Loose = any;

/** As the server would have it before validation: decoded, defaulted, prepared. */
export function admitted(change: (pod: Loose) => void = () => {}): Loose {
  const pod = { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'a', image: 'nginx' }] } };
  change(pod);
  const { wrongTypes, unknownFields } = podKind.checkStructure(pod);
  const wrong = [...wrongTypes, ...unknownFields];
  if (wrong.length > 0) throw new Error(`a test's Pod is no Pod: ${wrong.join(', ')}`);
  podKind.applyDefaults(pod);
  podKind.prepareCreate(pod);
  return pod;
}

export function said(causes: { field?: string; message: string }[]): string[] {
  return causes.map(({ field, message }) => `${field}: ${message}`);
}

/** What validation says of a new Pod after `change`. */
export function problems(change: (pod: Loose) => void): string[] {
  return said(podKind.validateCreate(admitted(change)));
}

/** The same, with members of the spec and of its first container replaced. */
export function problemsWith(spec: object, container: object = {}): string[] {
  return problems((pod) => {
    Object.assign(pod.spec.containers[0], container);
    Object.assign(pod.spec, spec);
  });
}

/** Uses much of what there is, and nothing wrongly. */
export function rich({ metadata, spec }: Loose): void {
  Object.assign(metadata, { labels: { app: 'x' }, annotations: { 'Example.com/UP': 'y' } });
  Object.assign(spec, {
    serviceAccountName: 'robot',
    runtimeClassName: 'namespace',
    hostname: 'h',
    subdomain: 's',
    shareProcessNamespace: true,
    activeDeadlineSeconds: 60,
    overhead: { memory: '16Mi' },
    hostAliases: [{ ip: '::1', hostnames: ['a.b'] }],
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ operator: 'Exists' }, { key: 'a', value: 'b', effect: 'NoSchedule' }],
    readinessGates: [{ conditionType: 'x.io/ready' }],
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
    securityContext: {
      fsGroup: 0,
      sysctls: [{ name: 'net.core.somaxconn', value: '1' }],
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: [
      { name: 'i', image: 'x:1' },
      { name: 's', image: 'x:1', restartPolicy: 'Always', startupProbe: { exec: { command: ['true'] } } },
    ],
    volumes: [
      { name: 'e', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'c', configMap: { name: 'c', items: [{ key: 'k', path: 'a/b', mode: 256 }] } },
      { name: 'd', downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: `metadata.labels['app']` } }] } },
      { name: 't', projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { secret: { name: 's' } }] } },
    ],
  });
  Object.assign(spec.containers[0], {
    env: [
      { name: 'EMPTY' },
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'K', valueFrom: { secretKeyRef: { name: 's', key: 'k', optional: true } } },
    ],
    envFrom: [{ prefix: 'P_', configMapRef: { name: 'c' } }],
    volumeMounts: [{ name: 'e', mountPath: '/e', subPathExpr: '$(IP)' }],
    resources: { limits: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '1Gi', 'x.io/gpu': 1 } },
    securityContext: { capabilities: { add: ['NET_ADMIN'] }, readOnlyRootFilesystem: true, privileged: true },
    lifecycle: { preStop: { sleep: { seconds: 1 } }, postStart: { exec: { command: ['true'] } } },
    ports: [
      { containerPort: 53, protocol: 'UDP' },
      { containerPort: 53, protocol: 'TCP' },
    ],
  });
}
