/**
 * kill -9 of the runtime service at each step of `sampan-runtime create` and `exec`, with containers on the host (they are fast); oci-faults-end.test.ts has the
 * other commands. And exec processes that outlive the service.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ContainerLife, killedAtEach, oneFaultyOci } from './support/container-life.ts';
import { missingForCri } from './support/cri-lab.ts';
import { until } from './support/wait.ts';

describe('the OCI command line over a service that is killed', { skip: missingForCri() }, () => {
  const lab = oneFaultyOci('namespace');
  killedAtEach(lab, [
    ...['oci-record', 'oci-machine', 'bundle-sandbox', 'bundle-network', 'bundle-machine', 'bundle-ready'],
    ...['bundle-answer', 'bundle-container', 'bundle-mounts', 'bundle-stdio', 'bundle-guest', 'bundle-made'],
    ...['bundle-created', 'oci-made'],
    ...['bundle-exec', 'bundle-exec-added', 'bundle-exec-start', 'bundle-exec-started'],
  ]);

  it('an exec goes on while the service is killed: its output and its exit code reach its caller', async () => {
    const faulty = lab();
    const container = new ContainerLife(faulty, 'holds');
    assert.equal((await container.create()).code, 0);
    assert.equal((await container.start()).code, 0);
    const script = 'echo one; while ! [ -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go; echo two; exit 5';
    const running = faulty.start(['exec', 'holds', '/bin/sh', '-c', script]);
    await until('its first line', async () => running.output.stdout === 'one\n');
    await faulty.killService();
    assert.equal(await container.status(), 'running', 'the service is up again');
    assert.equal((await faulty.call(['exec', 'holds', '/bin/touch', '/tmp/go'])).code, 0);
    assert.equal(await running.ended, 5);
    // What was under way when the service died may come twice.
    assert.match(running.output.stdout, /^(one\n){1,2}two\n$/);
    // And one whose caller died with the service.
    const forsaken = faulty.start(['exec', 'holds', '/bin/sleep', '1000']);
    await until('it runs', async () => /sleep 1000/.test(await processes()));
    await faulty.killService();
    forsaken.child.kill('SIGKILL');
    await forsaken.ended;
    assert.equal(await container.status(), 'running');
    await until('nobody waits for it: it is killed', async () => !/sleep 1000/.test(await processes()));
    await container.toTheEnd('kill');
    await faulty.sweep();
  });

  const processes = async () => (await lab().call(['exec', 'holds', '/bin/ps', '-o', 'args'])).stdout;
});
