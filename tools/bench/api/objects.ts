/** What is written: a ConfigMap of about 1 KiB and a Pod as small services have them. */
const text = 'x'.repeat(700);

export function configMap(name: string, at = ''): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { app: 'bench', part: 'load' } },
    data: { at, text },
  });
}

export function pod(name: string): string {
  const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 10 };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: { app: 'bench', 'pod-template-hash': '5d9f8b7c6' },
      annotations: { 'example.com/owner': 'bench' },
    },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'main',
          image: 'registry.example/team/service:1.2.3',
          env: [
            { name: 'PORT', value: '8080' },
            { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          ],
          ports: [{ containerPort: 8080 }],
          resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
          readinessProbe: probe,
          livenessProbe: probe,
        },
      ],
    },
  });
}

export function deployment(name: string, replicas: number): string {
  const { metadata, spec } = JSON.parse(pod('template'));
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'bench' } },
      template: { metadata: { labels: { app: metadata.labels.app } }, spec },
    },
  });
}

/** Well, and with room for all. */
export function node(name: string) {
  const room = { cpu: '1000', memory: '1000Gi', pods: '10000', 'ephemeral-storage': '1000Gi' };
  const at = new Date().toISOString();
  const ready = { type: 'Ready', status: 'True', reason: 'Bench', lastHeartbeatTime: at, lastTransitionTime: at };
  return { metadata: { name }, status: { capacity: room, allocatable: room, conditions: [ready] } };
}
