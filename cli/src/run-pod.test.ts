import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseName, podOf, refuseTogether, startMend } from './run-pod.ts';

const options = { env: [], namespace: 'default', pull: 'IfNotPresent' };

test('a Pod is named after the last part of its image, without tag or digest', () => {
  assert.equal(baseName('docker.io/library/nginx:1.25'), 'nginx');
  assert.equal(baseName('127.0.0.1:5000/My_App@sha256:abc'), 'my-app');
});

test('words after -- replace the command of the image and keep its entrypoint', () => {
  const pod = podOf('demo', ['sh', '-c', 'exit 3'], options) as {
    spec: { containers: { args?: string[]; command?: string[] }[] };
  };
  assert.deepEqual(pod.spec.containers[0]!.args, ['sh', '-c', 'exit 3']);
  assert.equal(pod.spec.containers[0]!.command, undefined);
});

test('a variable given by name only takes its value from here, and is refused when there is none', () => {
  process.env.SAMPAN_TEST_VARIABLE = 'a=b';
  const pod = podOf('demo', [], { ...options, env: ['SAMPAN_TEST_VARIABLE', 'X=y=z'] }) as {
    spec: { containers: { env: object[] }[] };
  };
  assert.deepEqual(pod.spec.containers[0]!.env, [
    { name: 'SAMPAN_TEST_VARIABLE', value: 'a=b' },
    { name: 'X', value: 'y=z' },
  ]);
  assert.throws(() => podOf('demo', [], { ...options, env: ['SAMPAN_NOT_SET'] }), /no value/);
});

test('an amount that is none is refused here, with an example of one', () => {
  assert.throws(() => podOf('demo', [], { ...options, cpus: 'many' }), {
    message: '--cpus many is no amount',
    why: /0\.5/,
  });
  assert.throws(() => podOf('demo', [], { ...options, memory: '' }), { why: /256Mi/ });
});

test('what to do about a container that cannot start depends on why', () => {
  assert.match(startMend('ErrImagePull') ?? '', /image name/);
  assert.match(startMend('RunContainerError') ?? '', /command/);
  assert.equal(startMend('ContainerCreating'), undefined);
  assert.match(
    startMend('ErrImagePull', 'r/app: the registry wants (other) credentials: no') ?? '',
    /image pull --user/,
  );
});

test('what docker has options for stands where Kubernetes has it', () => {
  const pod = podOf('demo', ['-l'], {
    ...options,
    ...{ publish: ['8080:80'], volume: ['/tmp:/data'], label: ['app=web'], user: '1000', workdir: '/data' },
    ...{ entrypoint: 'ls', readOnly: true, restart: 'always', runtime: 'namespace' },
  }) as {
    metadata?: { labels?: object };
    spec: { containers: object[]; [field: string]: unknown };
  };
  const { containers, ...spec } = pod.spec;
  assert.deepEqual(pod.metadata?.labels, { 'sampan.dev/created-by': 'run', app: 'web' });
  assert.deepEqual(spec, {
    restartPolicy: 'Always',
    runtimeClassName: 'namespace',
    terminationGracePeriodSeconds: 5,
    volumes: [{ name: 'host-0', hostPath: { path: '/tmp' } }],
  });
  assert.partialDeepStrictEqual(containers[0], {
    command: ['ls'],
    args: ['-l'],
    workingDir: '/data',
    ports: [{ containerPort: 80, hostPort: 8080, protocol: 'TCP' }],
    volumeMounts: [{ name: 'host-0', mountPath: '/data' }],
    securityContext: { runAsUser: 1000, readOnlyRootFilesystem: true },
  });
});

test("docker's 512m of memory, a thousandth of bytes to Kubernetes, is refused with what was meant", () => {
  assert.throws(() => podOf('demo', [], { ...options, memory: '512m' }), { mend: '--memory 512Mi' });
  podOf('demo', [], { ...options, memory: '512M' });
});

test('options that rule each other out are refused before anything runs', () => {
  assert.throws(() => refuseTogether({ ...options, rm: true, detach: true }), { mend: /leave out one/ });
  assert.throws(() => refuseTogether({ ...options, restart: 'always' }), { mend: /add -d/ });
  refuseTogether({ ...options, restart: 'always', detach: true });
  refuseTogether({ ...options, rm: true });
});
