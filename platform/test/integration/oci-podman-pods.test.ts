/** Podman's pods and `kube play` as a node's operator uses them, under both handlers: volumes, init containers, ports, restarts. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { instanceFromEnvironment } from '../../src/base/config.ts';
import { vmmPids } from './support/instance.ts';
import { missingForPodman, PodmanLab } from './support/podman-lab.ts';
import { demoImage } from './support/pods.ts';
import { until } from './support/wait.ts';

const missing = missingForPodman();
const options = missing ? { skip: missing } : {};
let lab: PodmanLab;

before(async () => {
  if (missing) return;
  lab = await PodmanLab.open('podman-pods');
  // Where limits cannot be raised, Podman's own would be refused.
  const path = join(lab.home, 'containers.conf');
  await writeFile(path, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n');
  lab.env.CONTAINERS_CONF = path;
});

after(async () => {
  if (!missing) await lab[Symbol.asyncDispose]();
});

const machines = () => vmmPids(instanceFromEnvironment({ ...lab.env, SAMPAN_HOME: join(lab.home, 'runtime') })).length;

/** Obeys SIGTERM: stopping need not wait. */
const obedient = (words: string) => ['sh', '-c', `trap "exit 0" TERM; ${words}; while :; do sleep 0.1; done`];

function manifest(hostPort: number, annotations: object): string {
  const mount = (name: string) => ({ name, mountPath: `/${name}` });
  const main = {
    name: 'main',
    image: demoImage,
    command: obedient(
      'echo start; cat /data/init /config/greeting /host/file; echo "$WORD"; httpd -p 8080 -h /var/www',
    ),
    env: [{ name: 'WORD', valueFrom: { configMapKeyRef: { name: 'words', key: 'greeting' } } }],
    ports: [{ containerPort: 8080, hostPort }],
    resources: { limits: { memory: '64Mi', cpu: '500m' } },
    securityContext: { runAsUser: 0, capabilities: { add: ['NET_ADMIN'] } },
    volumeMounts: ['data', 'config', 'host', 'claim'].map(mount),
  };
  const side = {
    name: 'side',
    image: demoImage,
    command: obedient('until wget -qO- http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done'),
  };
  const init = {
    name: 'init',
    image: demoImage,
    command: ['sh', '-c', 'echo init >/data/init'],
    volumeMounts: [mount('data')],
  };
  const volumes = [
    { name: 'data', emptyDir: {} },
    { name: 'config', configMap: { name: 'words' } },
    { name: 'host', hostPath: { path: join(lab.home, 'given'), type: 'Directory' } },
    { name: 'claim', persistentVolumeClaim: { claimName: 'kept' } },
  ];
  const spec = { restartPolicy: 'OnFailure', initContainers: [init], containers: [main, side], volumes };
  const documents = [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'words' }, data: { greeting: 'hello' } },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'played', annotations }, spec },
  ];
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}

for (const [handler, port] of [
  ['vm', 18021],
  ['namespace', 18022],
] as const)
  test(
    `${handler}: a Pod with volumes, an init container and a port is played, restarted, stopped, started and taken down`,
    options,
    async () => {
      const runtime = lab.runtimeOf(handler);
      const podman = async (...args: string[]) => {
        const result = await lab.podman(args, { runtime });
        assert.equal(result.code, 0, `podman ${args.join(' ')}: ${result.stderr}\n${(await lab.log()).slice(-2000)}`);
        return result.stdout;
      };
      await mkdir(join(lab.home, 'given'), { recursive: true });
      await writeFile(join(lab.home, 'given/file'), 'given\n');
      const path = join(lab.home, 'pod.yaml');
      await writeFile(path, manifest(port, {}));
      const network = `sampan-pods-${handler}`;
      await podman('network', 'create', '--subnet', handler === 'vm' ? '10.213.21.0/24' : '10.213.22.0/24', network);
      try {
        await podman('play', 'kube', '--network', network, path);
        const serves = (what: string) =>
          until(what, async () => /Hello/.test(await (await fetch(`http://127.0.0.1:${port}/`)).text()));
        await serves('the page');
        assert.match(await podman('logs', 'played-main'), /^start\ninit\nhello\s*given\nhello\n/);
        await until('the other container sees it', async () => /Hello/.test(await podman('logs', 'played-side')));
        assert.equal(machines(), 1);
        const isOwn = (await podman('exec', 'played-main', 'uname', '-r')).trim() !== release();
        assert.equal(isOwn, handler === 'vm', 'a kernel of its own, or the host’s');

        await podman('pod', 'restart', 'played');
        await serves('the page after the restart');
        const states = (await podman('ps', '-a', '--format', '{{.Status}}')).trim().split('\n');
        assert.deepEqual(
          states.map((state) => state.slice(0, 3)),
          ['Up ', 'Up ', 'Up '],
        );
        assert.equal((await podman('logs', 'played-main')).match(/^start$/gm)?.length, 2);
        await until('one machine is left', async () => machines() === 1);

        await podman('pod', 'stop', '-t', '5', 'played');
        assert.equal(machines(), 0);
        await podman('pod', 'start', 'played');
        await serves('the page after the start');
        await podman('play', 'kube', '--down', path);
        assert.equal(machines(), 0);
        assert.equal(await podman('ps', '-aq'), '');
      } finally {
        await podman('network', 'rm', '--force', '--time', '0', network);
        await lab.podman(['volume', 'rm', '--all', '--force']);
      }
    },
  );

test('a program that is not there is told by its exit code, and no machine is made for it', options, async () => {
  const network = ['--network', 'none'];
  const missing = await lab.podman(['run', '--rm', ...network, demoImage, 'no-such-program']);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /executable file `no-such-program` not found in \$PATH/);
  assert.equal(machines(), 0);
});

test('a container that wants another handler than its pod has is refused by name', options, async () => {
  const pod = ['--pod', 'new:mixed', '--network', 'none'];
  assert.equal((await lab.podman(['create', ...pod, demoImage, 'true'])).code, 0);
  const annotation = ['--annotation', 'sampan.dev/handler=namespace'];
  const other = await lab.podman(['run', '--rm', '--pod', 'mixed', ...annotation, demoImage, 'true']);
  assert.equal(other.code, 126);
  assert.match(
    other.stderr,
    /namespace is wanted, but the pod's machine is of the handler vm; .*sampan-runtime-namespace/,
  );
  assert.equal((await lab.podman(['pod', 'rm', '--force', '--time', '0', 'mixed'])).code, 0);
});

test('on the host a socket and a device of it may be mounted', options, async () => {
  const path = join(lab.home, 'a.sock');
  const server = createServer().listen(path);
  try {
    const mounts = ['-v', `${path}:/a.sock`, '-v', '/dev/zero:/nothing'];
    const words = 'test -S /a.sock && test -c /nothing && head -c 4 /nothing | wc -c';
    const run = ['run', '--rm', '--network', 'none', ...mounts, demoImage, 'sh', '-c', words];
    const onHost = await lab.podman(run, { runtime: lab.runtimeOf('namespace') });
    assert.deepEqual([onHost.code, onHost.stdout], [0, '4\n'], onHost.stderr);
    const inVm = await lab.podman(run);
    assert.equal(inVm.code, 126);
    assert.match(inVm.stderr, /mounts \/(a\.sock|nothing): /);
  } finally {
    server.close();
  }
});
