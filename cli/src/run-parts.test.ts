import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf, mountOf, portOf, pullPolicyOf, restartPolicyOf, securityOf } from './run-parts.ts';

test('a port is published as docker writes it, on every address or on one', () => {
  assert.deepEqual(portOf('8080:80'), { containerPort: 80, hostPort: 8080, protocol: 'TCP' });
  assert.deepEqual(portOf('127.0.0.1:5353:53/udp'), {
    containerPort: 53,
    hostPort: 5353,
    hostIP: '127.0.0.1',
    protocol: 'UDP',
  });
});

test('a port alone, or one there cannot be, is refused with examples', () => {
  for (const text of ['80', '0:80', '8080:70000', 'http:80', '8080:80/icmp'])
    assert.throws(() => portOf(text), { message: `-p ${text} names no two ports`, mend: /-p 8080:80/ });
});

test('a directory of the host is mounted by its path, one from here too', () => {
  assert.deepEqual(mountOf('/tmp:/data:ro', 0), {
    volume: { name: 'host-0', hostPath: { path: '/tmp' } },
    volumeMount: { name: 'host-0', mountPath: '/data', readOnly: true },
  });
  assert.equal(mountOf('.:/here', 1).volume.hostPath.path, process.cwd());
});

test('a named volume, a path that is not there and a mode unknown are refused with the way to go', () => {
  assert.throws(() => mountOf('data:/data', 0), { why: /no named volumes/, mend: /emptyDir/ });
  assert.throws(() => mountOf('/nowhere/at/all:/data', 0), { mend: 'mkdir -p /nowhere/at/all' });
  assert.throws(() => mountOf('/tmp:/data:z', 0), { why: /ro and rw, not z/ });
  for (const text of ['/tmp', '/tmp:data', '/tmp:/a:ro:b']) assert.throws(() => mountOf(text, 0), { why: /two paths/ });
});

test('users are numbers; policies are taken as docker and as Kubernetes write them', () => {
  assert.deepEqual(securityOf('1000:50'), { runAsUser: 1000, runAsGroup: 50 });
  assert.deepEqual(securityOf('0'), { runAsUser: 0 });
  assert.throws(() => securityOf('www-data'), { why: /by number/ });
  assert.equal(pullPolicyOf('missing'), 'IfNotPresent');
  assert.equal(pullPolicyOf('Never'), 'Never');
  assert.throws(() => pullPolicyOf('newer'), { mend: /Always/ });
  assert.equal(restartPolicyOf('on-failure'), 'OnFailure');
  assert.throws(() => restartPolicyOf('unless-stopped'), { mend: /on-failure or always/ });
  assert.deepEqual(labelsOf(['app=web', 'bare', 'x=a=b']), { app: 'web', bare: '', x: 'a=b' });
});
