import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import {
  containerStatus,
  createPod,
  deletePod,
  demoImage,
  isReady,
  phaseIs,
  podWhere,
  shellPod,
} from './support/pods.ts';
import { until } from './support/wait.ts';

describe('what a Pod may say about itself', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('says');
    await loadDemoImage(instance);
    const { client } = instance;
    await client.create(
      resources.configmaps,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'conf' },
        data: { colour: 'green', 'two.txt': 'second' },
      } as KubeObject,
      { namespace: 'default' },
    );
    await client.create(
      resources.secrets,
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, stringData: { key: 'hush' } } as KubeObject,
      { namespace: 'default' },
    );
  });
  after(() => instance?.stop());

  const log = async (name: string, container = 'main') =>
    (await instance.sampan(['logs', name, '-c', container])).stdout;
  const exec = async (name: string, ...words: string[]) =>
    (await instance.sampan(['exec', name, '--', ...words])).stdout;
  /** Runs a Pod to its end and returns its log. */
  const outputOf = async (name: string, script: string, spec: object = {}, container: object = {}) => {
    await createPod(instance.client, shellPod(name, script, spec, container));
    await podWhere(
      instance.client,
      name,
      'ended',
      (pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed',
    );
    const text = await log(name);
    await deletePod(instance.client, name);
    return text;
  };

  test('variables from values, fields, resources, ConfigMaps and Secrets, expanded', async () => {
    const env = [
      { name: 'A', value: 'a' },
      { name: 'B', value: '$(A)-$$(A)-$(NONE)' },
      { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
      { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
      { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'conf', key: 'colour' } } },
      { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
      { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'keys', key: 'none', optional: true } } },
    ];
    const text = await outputOf(
      'env',
      'echo "$B|$POD|$CPU|$MEM|$COLOUR|$KEY|$MAYBE|$X_colour|$1"',
      {},
      { env, envFrom: [{ prefix: 'X_', configMapRef: { name: 'conf' } }], args: ['sh', '$(COLOUR)-arg'] },
    );
    assert.equal(text, 'a-$(A)-$(NONE)|env|500|64|green|hush||green|green-arg\n');
  });

  test('who a process is: user, groups, capabilities, read-only root', async () => {
    const securityContext = {
      runAsUser: 1000,
      runAsGroup: 3000,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    };
    const text = await outputOf(
      'who',
      'id; grep -E "CapEff|NoNewPrivs" /proc/self/status; touch /x; ls -ldn /data; touch /data/y && ls -n /data/y',
      { securityContext: { fsGroup: 2000, supplementalGroups: [4000] }, volumes: [{ name: 'data', emptyDir: {} }] },
      { securityContext, volumeMounts: [{ name: 'data', mountPath: '/data' }] },
    );
    assert.match(text, /uid=1000 gid=3000 groups=(?=[^\n]*2000)(?=[^\n]*4000)/);
    assert.match(text, /CapEff:\s+0000000000000000/);
    assert.match(text, /NoNewPrivs:\s+1/);
    assert.match(text, /drwxrws\S* +\d+ +0 +2000/);
    assert.match(text, /-rw-r--r-- +1 1000 +2000/);
  });

  test('runAsNonRoot refuses an image that runs as root', async () => {
    await createPod(instance.client, shellPod('no-root', 'true', { securityContext: { runAsNonRoot: true } }));
    const pod = await podWhere(
      instance.client,
      'no-root',
      'refused',
      (one) => containerStatus(one).state?.waiting?.reason === 'CreateContainerConfigError',
    );
    assert.match(containerStatus(pod).state?.waiting?.message ?? '', /runAsNonRoot/);
    await deletePod(instance.client, 'no-root');
  });

  test('sysctls, hostname, subdomain, host aliases and DNS settings', async () => {
    const spec = {
      hostname: 'boat',
      subdomain: 'river',
      hostAliases: [{ ip: '192.0.2.7', hostnames: ['pier'] }],
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['192.0.2.53'], searches: ['a.test'], options: [{ name: 'ndots', value: '2' }] },
      securityContext: {
        sysctls: [
          { name: 'net.ipv4.ip_unprivileged_port_start', value: '80' },
          { name: 'kernel.shm_rmid_forced', value: '1' },
        ],
      },
    };
    const text = await outputOf(
      'names',
      'hostname; grep pier /etc/hosts; grep boat /etc/hosts; cat /etc/resolv.conf; cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
      spec,
    );
    assert.match(text, /^boat\n192\.0\.2\.7\s+pier\n/);
    assert.match(text, /boat\.river\.default\.svc\.cluster\.local\s+boat/);
    assert.match(
      text,
      /search a\.test\nnameserver 192\.0\.2\.53\noptions ndots:2|nameserver 192\.0\.2\.53\nsearch a\.test\noptions ndots:2/,
    );
    assert.match(text, /80\n$/);
  });

  test('memory-backed emptyDir has its size, and a subPath mounts a part', async () => {
    const spec = {
      volumes: [
        { name: 'mem', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
        { name: 'conf', configMap: { name: 'conf', items: [{ key: 'two.txt', path: 'deep/two', mode: 0o400 }] } },
      ],
    };
    const volumeMounts = [
      { name: 'mem', mountPath: '/mem' },
      { name: 'mem', mountPath: '/part', subPath: 'a/b' },
      { name: 'conf', mountPath: '/conf' },
      { name: 'conf', mountPath: '/two', subPath: 'deep/two' },
    ];
    const text = await outputOf(
      'volumes',
      'df -m /mem | tail -1; touch /part/here; ls /mem/a/b; cat /conf/deep/two /two; stat -Lc %a /conf/deep/two',
      spec,
      { volumeMounts },
    );
    assert.match(text, /tmpfs +8 /);
    assert.match(text, /here\nsecondsecond400\n$/);
  });

  test('the projected service account token is good for the API', async () => {
    const script =
      'd=/var/run/secrets/kubernetes.io/serviceaccount; cat $d/namespace; echo; wget -q --no-check-certificate --header "Authorization: Bearer $(cat $d/token)" -O - https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1 | head -c 60; [ -s $d/ca.crt ] && echo ca';
    const text = await outputOf('token', script);
    assert.match(text, /^default\n/);
    assert.match(text, /ca\n$/);
  });

  test('Pods reach each other and resolve names', async () => {
    await createPod(
      instance.client,
      shellPod(
        'server',
        'httpd -f -p 8080 -h /var/www',
        {},
        { readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 } },
      ),
    );
    const server = await isReady(instance.client, 'server');
    const ip = server.status!.podIP!;
    const text = await outputOf(
      'client',
      `wget -qO- http://${ip}:8080/; nslookup ${ip.replaceAll('.', '-')}.default.pod.cluster.local; nslookup kubernetes.default.svc.cluster.local >/dev/null && echo resolved`,
    );
    assert.match(text, /Hello from a VM of its own/);
    assert.match(text, new RegExp(ip.replaceAll('.', '\\.')));
    assert.match(text, /resolved/);
    await deletePod(instance.client, 'server');
  });

  test('a readiness probe takes a Pod out and back in; a liveness probe restarts it', async () => {
    // An answer that is late on a busy host is no failure.
    const often = { periodSeconds: 1, timeoutSeconds: 10 };
    const container = {
      readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, ...often },
      livenessProbe: { exec: { command: ['test', '!', '-e', '/tmp/dead'] }, ...often, failureThreshold: 1 },
    };
    await createPod(instance.client, shellPod('probed', 'sleep 100000', { restartPolicy: 'Always' }, container));
    await phaseIs(instance.client, 'probed', 'Running');
    const ready = (want: string) =>
      podWhere(
        instance.client,
        'probed',
        `Ready=${want}`,
        (pod) => pod.status?.conditions?.find((one) => one.type === 'Ready')?.status === want,
      );
    await ready('False');
    await exec('probed', 'touch', '/tmp/ready');
    await ready('True');
    await exec('probed', 'rm', '/tmp/ready');
    await ready('False');
    await exec('probed', 'touch', '/tmp/dead');
    await podWhere(instance.client, 'probed', 'restarted', (pod) => containerStatus(pod).restartCount === 1);
    await deletePod(instance.client, 'probed');
  });

  test('termination messages come from the file, or from the log on errors', async () => {
    await createPod(instance.client, shellPod('last-words', 'echo told > /dev/termination-log'));
    assert.equal(
      containerStatus(await phaseIs(instance.client, 'last-words', 'Succeeded')).state?.terminated?.message,
      'told\n',
    );
    await createPod(
      instance.client,
      shellPod('log-words', 'echo from the log; exit 1', {}, { terminationMessagePolicy: 'FallbackToLogsOnError' }),
    );
    assert.equal(
      containerStatus(await phaseIs(instance.client, 'log-words', 'Failed')).state?.terminated?.message,
      'from the log\n',
    );
  });

  test('activeDeadlineSeconds ends a Pod with DeadlineExceeded', async () => {
    await createPod(instance.client, shellPod('late', 'sleep 1000', { activeDeadlineSeconds: 3 }));
    assert.equal((await phaseIs(instance.client, 'late', 'Failed')).status?.reason, 'DeadlineExceeded');
  });

  test('a postStart hook runs before Ready, and processes can be shared', async () => {
    const spec = {
      shareProcessNamespace: true,
      containers: [
        {
          name: 'other',
          image: demoImage,
          command: ['sleep', '7777'],
          resources: { limits: { cpu: '100m', memory: '32Mi' } },
        },
      ],
    };
    await createPod(
      instance.client,
      shellPod('hooks', 'sleep 8888', spec, {
        lifecycle: { postStart: { exec: { command: ['touch', '/tmp/hooked'] } } },
      }),
    );
    await isReady(instance.client, 'hooks');
    assert.equal(await exec('hooks', 'ls', '/tmp/hooked'), '/tmp/hooked\n');
    assert.match(await exec('hooks', 'ps'), /sleep 7777/);
    await deletePod(instance.client, 'hooks');
  });

  test('a Pod that says nothing gets half a core and 512 MiB, and its status says so', async () => {
    await createPod(instance.client, shellPod('silent', 'sleep 1000', {}, { resources: {} }));
    const pod = await isReady(instance.client, 'silent');
    assert.match(JSON.stringify(pod.status) + JSON.stringify(pod.metadata?.annotations ?? {}), /512/);
    // /proc/meminfo is a kernel's: a Pod on the host sees the host's, and has its bound in its control group.
    const isVm = pod.spec?.runtimeClassName !== 'namespace';
    const memory = Number(/MemTotal: +(\d+)/.exec(await exec('silent', 'cat', '/proc/meminfo'))?.[1]) / 1024;
    assert.ok(!isVm || (memory > 440 && memory < 640), `${memory} MiB`);
    await deletePod(instance.client, 'silent');
  });

  test('the writable layer is limited by ephemeral-storage', async () => {
    const limits = { cpu: '500m', memory: '64Mi', 'ephemeral-storage': '32Mi' };
    const text = await outputOf(
      'full',
      'dd if=/dev/zero of=/big bs=1M count=64 2>&1 | tail -1; df -m / | tail -1; sleep 0.1',
      {},
      { resources: { limits } },
    );
    assert.match(text, /(No space left|[23]\d\+0 records out)[\s\S]*(99|100)%/);
  });

  test('an ephemeral container joins a running Pod', async () => {
    await createPod(instance.client, shellPod('debugged', 'sleep 1000'));
    await isReady(instance.client, 'debugged');
    const ephemeral = {
      spec: {
        ephemeralContainers: [
          {
            name: 'debugger',
            image: demoImage,
            command: ['sh', '-c', 'ps | grep -c "sleep 1000"; hostname'],
            targetContainerName: 'main',
          },
        ],
      },
    };
    await instance.client.patch(resources.pods, 'debugged', ephemeral, {
      namespace: 'default',
      type: 'application/strategic-merge-patch+json',
      subresource: 'ephemeralcontainers',
    });
    await until('its output', async () => /debugged/.test(await log('debugged', 'debugger')));
    await deletePod(instance.client, 'debugged');
  });
});
