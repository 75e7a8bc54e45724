import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseName, podOf, startMend } from './run-pod.ts';

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
});
