import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { KubeObject } from '@sampan/api/client.ts';
import { connectWith } from '../../../cli/src/connect.ts';
import { loadCredentials } from '../../../cli/src/credentials.ts';
import { freePort } from '../fixtures/free-port.ts';
import { command } from './support/command.ts';
import { until } from './support/wait.ts';

const launcher = join(import.meta.dirname, '../../../sampan');

describe('the command line, as a newcomer uses it', () => {
  let home = '';
  let env: NodeJS.ProcessEnv = {};
  before(async () => {
    home = await mkdtemp('/var/tmp/sampan-cli-');
    env = { ...process.env, SAMPAN_HOME: home, SAMPAN_LISTEN: `127.0.0.1:${await freePort()}` };
  });
  after(async () => {
    await sampan('down', '--pods');
    await rm(home, { recursive: true, force: true });
  });

  const sampan = (...args: string[]) => command(launcher, args, { env, timeoutMs: 240_000 });

  test('before up, status says so and the rest says what to do', async () => {
    const status = await sampan('status');
    assert.equal(status.code, 3);
    assert.match(status.stdout, /does not run.*sampan up/);
    const ps = await sampan('ps');
    assert.equal(ps.code, 1);
    assert.match(ps.stderr, /mend: .*sampan up/);
  });

  test('up --demo runs a Pod in its own VM, shows its log, and says how to go on', async () => {
    const up = await sampan('up', '--demo');
    assert.equal(up.code, 0, up.stderr);
    assert.match(up.stdout, /Hello from hello, Linux 6\.1/);
    assert.match(up.stdout, /export KUBECONFIG=.*admin\.kubeconfig/);
  });

  test('a second up finds everything done', async () => {
    const began = performance.now();
    const up = await sampan('up');
    assert.equal(up.code, 0, up.stderr);
    assert.match(up.stdout, /already runs/);
    // The promise is 3 s (docs/SPECIFICATION.md); this only guards against doing the work again.
    assert.ok(performance.now() - began < 20_000);
  });

  test('run passes output and exit code through, and --rm leaves nothing', async () => {
    const run = await sampan(
      'run',
      '--rm',
      '-e',
      'NAME=you',
      '--cpus',
      '1',
      '--memory',
      '64Mi',
      'localhost/demo',
      '--',
      'sh',
      '-c',
      'echo hello $NAME; echo oops >&2; exit 3',
    );
    assert.equal(run.code, 3, run.stderr);
    assert.match(run.stdout, /hello you\n/);
    const pods = JSON.parse((await sampan('ps', '-o', 'json')).stdout) as { items: { metadata: { name: string } }[] };
    assert.deepEqual(
      pods.items.map((pod) => pod.metadata.name),
      ['hello'],
    );
  });

  test('an image that is not there fails with the reason, and --rm removes the Pod', async () => {
    const run = await sampan('run', '--rm', '--pull', 'Never', 'localhost/none');
    assert.equal(run.code, 1);
    assert.match(run.stderr, /ErrImageNeverPull/);
  });

  test('a reader that has seen enough ends a command without a word, and --rm removes the Pod', async () => {
    const shell = (line: string) => command('bash', ['-c', line], { env, timeoutMs: 240_000 });
    const seen = 'sh -c \'while :; do echo y; done\' | head -1; echo "$PIPESTATUS"';
    const flags = '--rm --memory 64Mi --name spout';
    for (const how of ['', '-i']) {
      const { stdout, stderr } = await shell(`${launcher} run ${flags} ${how} localhost/demo -- ${seen}`);
      assert.deepEqual([stdout, stderr], ['y\n141\n', '']);
    }
    assert.doesNotMatch((await sampan('ps')).stdout, /spout/);
    assert.equal((await shell(`${launcher} image ls | :; echo "\${PIPESTATUS[0]}"`)).stderr, '');
  });

  test('a detached Pod can be listed, entered, read, and survives down and up', async () => {
    assert.equal(
      (
        await sampan(
          'run',
          '-d',
          '--name',
          'web',
          '--cpus',
          '0.5',
          '--memory',
          '64Mi',
          'localhost/demo',
          '--',
          'sh',
          '-c',
          'echo started; httpd -f -h /var/www',
        )
      ).stdout,
      'web\n',
    );
    await until('web runs', async () => /web +1\/1 +Running/.test((await sampan('ps')).stdout));
    assert.match((await sampan('exec', 'web', '--', 'wget', '-qO-', 'localhost')).stdout, /Hello from a VM of its own/);
    assert.equal((await sampan('exec', 'web', '--', 'sh', '-c', 'exit 7')).code, 7);
    const late = await sampan('exec', 'web', '-c', 'main', '--', 'true');
    assert.match(late.stderr, /"-c" stands too late/);
    assert.match((await sampan('down')).stdout, /Pods go on/);
    assert.equal((await sampan('status')).code, 3);
    assert.equal((await sampan('up')).code, 0);
    await until('web is adopted', async () => /web +1\/1 +Running +0 /.test((await sampan('ps')).stdout));
    assert.equal((await sampan('logs', 'web')).stdout, 'started\n');
    assert.equal((await sampan('rm', 'web')).stdout, 'web\n');
  });

  test('images are listed, named when imported, and removed', async () => {
    const archive = join(process.env.SAMPAN_CACHE || '/var/cache/sampan', 'demo-image-1.tar');
    assert.equal((await sampan('image', 'import', archive)).code, 0);
    assert.match((await sampan('image', 'ls')).stdout, /localhost\/demo:1 +[0-9a-f]{12} +[\d.]+ MiB/);
    const missing = await sampan('image', 'import', '/nowhere.tar');
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /cannot read \/nowhere\.tar/);
    const directory = await sampan('image', 'import', home);
    assert.match(directory.stderr, /why: +it is a directory/);
    const broken = await command('bash', ['-c', `head -c 700000 ${archive} | ${launcher} image import -`], { env });
    assert.match(broken.stderr, /^sampan: Invalid: the archive: broken tar/);
    const piped = await command('bash', ['-c', `cat ${archive} | ${launcher} image import - --as piped:1`], { env });
    assert.match(piped.stdout, /docker\.io\/library\/piped:1/, piped.stderr);
    const removed = await sampan('image', 'rm', 'nothing:1', 'piped:1', 'localhost/demo:latest');
    assert.equal(removed.code, 1);
    assert.equal(removed.stderr, 'sampan: NotFound: image "nothing:1" not found\n');
    assert.equal(removed.stdout, 'piped:1\nlocalhost/demo:latest\n');
    assert.doesNotMatch((await sampan('image', 'ls')).stdout, /demo:latest|piped/);
  });

  test('down --pods ends the Pods of a Deployment too; they start again at the next up', async () => {
    const client = connectWith(await loadCredentials(join(home, 'admin.kubeconfig')));
    const deployments = { group: 'apps', version: 'v1', resource: 'deployments', namespaced: true };
    const resources = { limits: { cpu: '250m', memory: '64Mi' } };
    const container = { name: 'c', image: 'localhost/demo:1', command: ['sleep', '1000000'], resources };
    const template = { metadata: { labels: { app: 'kept' } }, spec: { containers: [container] } };
    const spec = { replicas: 1, selector: { matchLabels: { app: 'kept' } }, template };
    await client.create(deployments, { metadata: { name: 'kept' }, spec } as KubeObject, { namespace: 'default' });
    await until('it runs', async () => /kept-.* 1\/1 +Running/.test((await sampan('ps')).stdout));
    assert.match((await sampan('down', '--pods')).stdout, /no Pod runs\. 1 that a Deployment .* next \.\/sampan up/);
    assert.equal((await sampan('up')).code, 0);
    await until('it runs again', async () => /kept-.* 1\/1 +Running/.test((await sampan('ps')).stdout));
    await client.delete(deployments, 'kept', { namespace: 'default', propagationPolicy: 'Background' });
  });

  test('doctor finds this machine able, and says so as JSON too', async () => {
    const findings = JSON.parse((await sampan('doctor', '-o', 'json')).stdout) as { check: string; state: string }[];
    assert.ok(findings.some((one) => one.check === 'kvm'));
    assert.deepEqual(
      findings.filter((one) => one.state === 'fail'),
      [],
    );
  });
});
