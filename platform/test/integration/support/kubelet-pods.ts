/** What a real kubelet is given in tests: a way to become a node, a Pod that uses all it can make, and one that needs no API server. */
import { writeFile } from 'node:fs/promises';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { TestInstance } from './instance.ts';
import type { TestPod } from './pods.ts';

const small = { limits: { cpu: '1', memory: '96Mi' }, requests: { cpu: '100m', memory: '96Mi' } };

/** As kubeadm gives it: an identity that may ask for a node's certificate and for nothing else. */
export async function bootstrapKubeconfig(
  { client, port }: TestInstance,
  authority: string,
  path: string,
): Promise<void> {
  const name = 'bootstrapper';
  const namespace = 'kube-system';
  await client.create(resources.serviceaccounts, { metadata: { name } }, { namespace });
  const rules = ['system:node-bootstrapper', 'system:certificates.k8s.io:certificatesigningrequests:nodeclient'];
  for (const role of rules)
    await client.create(clusterRoleBindings, {
      metadata: { name: `${name}-${rules.indexOf(role)}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    } as KubeObject);
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } };
  const answer = await client.create<typeof request & { status?: { token: string } }>(
    resources.serviceaccounts,
    request,
    { namespace, name, subresource: 'token' },
  );
  const { token } = answer.status!;
  const cluster = { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': authority };
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'x' },
    clusters: [{ name: 'x', cluster }],
    users: [{ name: 'x', user: { token } }],
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
  };
  await writeFile(path, JSON.stringify(config));
}

const clusterRoleBindings = {
  ...{ group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterrolebindings', namespaced: false },
};

const mount = (name: string, mountPath: string, more: object = {}) => ({ name, mountPath, ...more });

/** A static Pod: a web server that ticks, reads and writes the host's directory `shared`, and ends when it is told that it is sick; another container beside it. */
export function webPod(image: string, shared: string): object {
  const script = [
    'mkdir -p /tmp/www; echo page > /tmp/www/index.html; httpd -p 80 -h /tmp/www; cat /host/from-host; echo',
    '[ -e /cache/kept ] || echo kept > /cache/kept; echo back > /host/from-pod; echo started',
    'while :; do date +tick%s; sleep 1; done',
  ].join('; ');
  const sick = { exec: { command: ['sh', '-c', 'test ! -e /tmp/sick'] } };
  const main = {
    ...{ name: 'main', image, command: ['sh', '-c', script], resources: small },
    volumeMounts: [mount('cache', '/cache'), mount('host', '/host')],
    readinessProbe: { httpGet: { path: '/', port: 80 }, periodSeconds: 1 },
    livenessProbe: { ...sick, periodSeconds: 1, failureThreshold: 1 },
  };
  const beside = {
    ...{ name: 'beside', image, command: ['sh', '-c', 'exec sleep 1000'], resources: small },
    volumeMounts: [mount('cache', '/cache')],
  };
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      terminationGracePeriodSeconds: 3,
      containers: [main, beside],
      volumes: [
        { name: 'cache', emptyDir: {} },
        { name: 'host', hostPath: { path: shared } },
      ],
    },
  };
}

/** A Pod with a volume of each kind that kubelet makes; it says what it finds in them. */
export function fullPod(handler: string, image: string, shared: string): TestPod {
  const script = [
    'cat /conf/app.ini /keys/password /all/labels /etc/app.ini /cache/init',
    'echo "$COLOUR $PASSWORD $POD_IP"',
    'echo part > /part/file; cat /cache/part/file',
    'awk \'$2 == "/mem" { print "mem is " $3 }\' /proc/mounts',
    'mkdir /tmp/www; echo page > /tmp/www/index.html; httpd -p 80 -h /tmp/www; echo started',
    'while :; do sleep 1; done',
  ].join('; ');
  const token = { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } };
  const labels = { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } };
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: {
      name: `full-${handler}`,
      labels: { kind: handler },
      // kubelet tells the runtime of a container's mounts only when it makes that container, and the first one has none of the host's.
      annotations: { 'sampan.dev/host-mounts': 'true' },
    },
    spec: {
      ...{ nodeName: 'kubelet', runtimeClassName: handler, terminationGracePeriodSeconds: 20 },
      initContainers: [
        {
          name: 'first',
          image,
          command: ['sh', '-c', 'echo init > /cache/init'],
          resources: small,
          volumeMounts: [mount('cache', '/cache')],
        },
      ],
      containers: [
        {
          ...{ name: 'main', image, command: ['sh', '-c', script], resources: small },
          env: [
            { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'conf', key: 'colour' } } },
            { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } },
            { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          ],
          volumeMounts: [
            ...[mount('conf', '/conf'), mount('keys', '/keys'), mount('all', '/all'), mount('mem', '/mem')],
            ...[mount('cache', '/cache'), mount('cache', '/part', { subPath: 'part' })],
            mount('conf', '/etc/app.ini', { subPath: 'app.ini' }),
          ],
          startupProbe: {
            exec: { command: ['test', '-e', '/tmp/www/index.html'] },
            periodSeconds: 1,
            failureThreshold: 60,
          },
          readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 },
        },
        {
          ...{ name: 'beside', image, resources: small, volumeMounts: [mount('host', '/host')] },
          command: ['sh', '-c', `trap 'echo bye > /host/${handler}; exit 0' TERM; while :; do sleep 0.2; done`],
        },
      ],
      volumes: [
        { name: 'conf', configMap: { name: 'conf' } },
        { name: 'keys', secret: { secretName: 'keys' } },
        { name: 'all', projected: { sources: [token, labels] } },
        { name: 'mem', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
        { name: 'cache', emptyDir: {} },
        { name: 'host', hostPath: { path: shared } },
      ],
    },
  } as unknown as TestPod;
}
