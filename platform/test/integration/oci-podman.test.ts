/** Debian's Podman and conmon over `sampan-runtime`: each container, or each Podman pod, in a VM. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { instanceFromEnvironment } from '../../src/base/config.ts';
import { CgroupTree } from './support/cgroup-tree.ts';
import { command } from './support/command.ts';
import { vmmPids } from './support/instance.ts';
import { missingForPodman, PodmanLab, podmanRunFlags } from './support/podman-lab.ts';
import { demoImage } from './support/pods.ts';
import { until } from './support/wait.ts';

const missing = missingForPodman();
const options = missing ? { skip: missing } : {};
let lab: PodmanLab;

before(async () => {
  if (!missing) lab = await PodmanLab.open('podman');
});

after(async () => {
  if (!missing) await lab[Symbol.asyncDispose]();
});

const machines = () => vmmPids(instanceFromEnvironment({ ...lab.env, SAMPAN_HOME: join(lab.home, 'runtime') })).length;

const addressTemplate = '{"address": "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"}';

async function podman(...args: string[]): Promise<string> {
  const result = await lab.podman(args);
  assert.equal(result.code, 0, `podman ${args.join(' ')}: ${result.stderr}\n${(await lab.log()).slice(-2000)}`);
  return result.stdout;
}

test('run gives output, errors and the exit code; the first call starts the service', options, async () => {
  const script = 'echo out; echo err >&2; uname -r >&2; exit 7';
  const { code, stdout, stderr } = await lab.podman(['run', '--rm', ...podmanRunFlags, demoImage, 'sh', '-c', script]);
  const [words, kernel] = stderr.trim().split('\n');
  assert.deepEqual({ code, stdout, words }, { code: 7, stdout: 'out\n', words: 'err' });
  const own = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
  assert.notEqual(kernel, own, 'it runs on a kernel of its own');
  assert.equal(machines(), 0, 'its machine is gone with it');
});

test('a terminal is a terminal, with the exit code', options, async () => {
  const result = await lab.onTerminal(['run', '-it', '--rm', ...podmanRunFlags, demoImage, 'sh', '-c', 'tty; exit 5']);
  assert.equal(result.code, 5);
  assert.match(result.stdout, /\/dev\/pts\/0\r\n/);
});

test('a container in the background: logs, exec, files, pause, restart of the service, stop', options, async () => {
  const script = 'trap "echo bye; exit 3" TERM; echo logged; cat /given/file; while :; do sleep 0.1; done';
  const given = join(lab.home, 'given');
  await podman(
    'run',
    '--rm',
    '-v',
    `${lab.home}:/h`,
    ...podmanRunFlags,
    demoImage,
    'sh',
    '-c',
    'mkdir /h/given; echo mounted > /h/given/file',
  );
  await podman(
    'run',
    '-d',
    '--name',
    'back',
    '-v',
    `${given}:/given:ro`,
    '--memory',
    '96m',
    ...podmanRunFlags,
    demoImage,
    'sh',
    '-c',
    script,
  );
  await until('its log', async () => (await podman('logs', 'back')) === 'logged\nmounted\n');

  const exec = await lab.podman(['exec', '-i', 'back', 'sh', '-c', 'cat; cat /sys/fs/cgroup/memory.max >&2; exit 6'], {
    input: 'in\n',
  });
  assert.deepEqual(exec, { code: 6, stdout: 'in\n', stderr: `${96 * 2 ** 20}\n` });
  const onTerminal = await lab.onTerminal(['exec', '-it', 'back', 'sh', '-c', 'tty; exit 4']);
  assert.equal(onTerminal.code, 4);
  assert.match(onTerminal.stdout, /\/dev\/pts\/0/);
  assert.notEqual(
    (await lab.podman(['exec', 'back', 'sh', '-c', 'echo x > /given/file'])).code,
    0,
    'read-only is read-only',
  );

  await writeFile(join(lab.home, 'in'), 'copied\n');
  await podman('cp', join(lab.home, 'in'), 'back:/tmp/in');
  assert.equal(await podman('exec', 'back', 'cat', '/tmp/in'), 'copied\n');
  await podman('pause', 'back');
  assert.equal((await podman('inspect', '-f', '{{.State.Status}}', 'back')).trim(), 'paused');
  await podman('unpause', 'back');

  await lab.stopService('SIGKILL');
  assert.equal(await podman('exec', 'back', 'echo', 'still here'), 'still here\n');
  await podman('stop', '-t', '10', 'back');
  assert.equal((await podman('inspect', '-f', '{{.State.ExitCode}}', 'back')).trim(), '3');
  assert.equal(await podman('logs', 'back'), 'logged\nmounted\nbye\n');
  await podman('rm', 'back');
  assert.equal(machines(), 0);
});

test(
  'a pod is one machine: its containers meet on its loopback; kill reaches the one that is meant',
  options,
  async () => {
    await podman('pod', 'create', '--name', 'pair', '--network', 'none');
    await podman(
      'run',
      '-d',
      '--pod',
      'pair',
      '--name',
      'web',
      '--ulimit',
      'host',
      demoImage,
      'httpd',
      '-f',
      '-p',
      '8080',
      '-h',
      '/var/www',
    );
    const fetch = 'until wget -qO- http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done';
    assert.match(
      await podman('run', '--rm', '--pod', 'pair', '--ulimit', 'host', demoImage, 'sh', '-c', fetch),
      /Hello from a VM/,
    );
    assert.equal(machines(), 1);
    await podman('kill', '--signal', 'KILL', 'web');
    const exitCode = async () => (await podman('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'web')).trim();
    await until('its end', async () => (await exitCode()) === 'exited 137');
    await podman('pod', 'rm', '--force', '--time', '1', 'pair');
    assert.equal(machines(), 0);
  },
);

test('privileges, sizes and places that a user asks for are those of the machine', options, async () => {
  const run = (flags: string[], script: string) =>
    podman('run', '--rm', ...flags, ...podmanRunFlags, demoImage, 'sh', '-c', script);
  assert.equal(await run(['--privileged'], 'mount -t tmpfs none /tmp && echo mounted'), 'mounted\n');
  const shm = "df /dev/shm | tail -1 | awk '{ print $2 }'; ls -ld /dev/shm";
  assert.match(await run(['--shm-size', '3m'], shm), /^3072\ndrwxrwxrwt /);
  assert.equal(await run(['--uts', 'host'], 'hostname'), `${hostname()}\n`);
  assert.equal(await run(['--systemd', 'always'], 'mkdir /sys/fs/cgroup/x && echo made'), 'made\n');

  await using tree = await CgroupTree.make();
  const parent = ['--cgroup-parent', tree.path];
  await podman('run', '-d', '--name', 'placed', ...parent, ...podmanRunFlags, demoImage, 'sleep', '1000');
  const [machine] = vmmPids(instanceFromEnvironment({ ...lab.env, SAMPAN_HOME: join(lab.home, 'runtime') }));
  const place = tree.groups().find((name) => /^libpod-[0-9a-f]{64}$/.test(name));
  assert.ok((await tree.members(join(tree.path, place ?? ''))).includes(machine!), `${machine} is not in ${place}`);
  await podman('rm', '-f', '-t', '0', 'placed');
  await until('its group has gone', async () => !tree.groups().some((name) => name.includes('libpod-')));
});

test('kube play runs a Pod in one machine', options, async () => {
  // A first process that obeys SIGTERM: stopping need not wait.
  const obedient = (words: string) => ['sh', '-c', `trap exit TERM; ${words}; while :; do sleep 0.1; done`];
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'played' },
    spec: {
      containers: [
        { name: 'web', image: demoImage, command: obedient('httpd -p 8080 -h /var/www') },
        {
          name: 'side',
          image: demoImage,
          command: obedient('until wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done'),
        },
      ],
    },
  };
  const path = join(lab.home, 'pod.json');
  await writeFile(path, JSON.stringify(manifest));
  await podman('play', 'kube', '--network', 'none', path);
  await until('the page', async () => (await podman('logs', 'played-side')).includes('Hello from a VM'));
  assert.equal(machines(), 1);
  await podman('play', 'kube', '--down', path);
  assert.equal(machines(), 0);
});

test("Podman's own network reaches into the machine, published ports too", options, async () => {
  await podman('network', 'create', '--subnet', '10.213.7.0/24', 'sampan-test');
  try {
    const publish = ['--network', 'sampan-test', '-p', '127.0.0.1:18017:8080', '--ulimit', 'host'];
    await podman('run', '-d', '--name', 'server', ...publish, demoImage, 'httpd', '-f', '-p', '8080', '-h', '/var/www');
    const page = async (host: string) =>
      (await fetch(`http://${host}/`, { signal: AbortSignal.timeout(10_000) })).text();
    const { address } = JSON.parse(await podman('inspect', '-f', addressTemplate, 'server'));
    assert.match(await until('the page', () => page(`${address}:8080`)), /Hello from a VM/);
    assert.match(await page('127.0.0.1:18017'), /Hello from a VM/);
  } finally {
    await podman('network', 'rm', '--force', '--time', '0', 'sampan-test');
  }
  assert.equal(machines(), 0);
});

test(
  "under the handler namespace a container is in Podman's network or the host's, and is entered",
  options,
  async () => {
    const own = ['--annotation', 'sampan.dev/handler=namespace', '--ulimit', 'host'];
    const host = await podman('run', '--rm', ...own, '--network', 'host', demoImage, 'readlink', '/proc/self/ns/net');
    assert.equal(host.trim(), await readlink('/proc/self/ns/net'));
    await podman('network', 'create', '--subnet', '10.213.8.0/24', 'sampan-own');
    try {
      const publish = ['--network', 'sampan-own', '-p', '127.0.0.1:18018:8080'];
      await podman(
        'run',
        '-d',
        '--name',
        'own',
        ...own,
        ...publish,
        demoImage,
        'httpd',
        '-f',
        '-p',
        '8080',
        '-h',
        '/var/www',
      );
      const page = async () => (await fetch('http://127.0.0.1:18018/', { signal: AbortSignal.timeout(10_000) })).text();
      assert.match(await until('the page', page), /Hello from a VM/);
      assert.match(
        await podman('exec', 'own', 'ip', '-o', '-4', 'address', 'show', 'eth0'),
        /inet 10\.213\.8\.\d+\/24/,
      );
    } finally {
      await podman('network', 'rm', '--force', '--time', '0', 'sampan-own');
    }
    assert.equal(machines(), 0);
  },
);

test('what a machine cannot have is refused in words that reach the caller', options, async () => {
  const refused = await lab.podman(['run', '--rm', '--network', 'host', '--ulimit', 'host', demoImage, 'true']);
  assert.equal(refused.code, 126);
  assert.match(refused.stderr, /no network means the host's/);
  assert.equal(machines(), 0);
});

/** Version 2 has no processes beside groups, and Podman reads the group of the process that stands for the container. */
const countsBeside = missing ?? (existsSync('/sys/fs/cgroup/memory') ? false : 'needs control groups of version 1');
for (const handler of ['vm', 'namespace'])
  test(`stats tell what a container under ${handler} costs, and its groups go with it`, {
    skip: countsBeside,
  }, async () => {
    const name = `counted-${handler}`;
    const script = 'head -c 40000000 /dev/zero >/dev/shm/full; echo full; sleep 1000';
    await using tree = await CgroupTree.make();
    // A place that nobody names is followed for machines that cost something alone: what is kept ready on the host stands in the instance's own group.
    const flags = ['--annotation', `sampan.dev/handler=${handler}`];
    if (handler === 'namespace') flags.push('--cgroup-parent', tree.path);
    await podman('run', '-d', '--name', name, ...flags, ...podmanRunFlags, demoImage, 'sh', '-c', script);
    await until('it uses memory', async () => (await podman('logs', name)).includes('full') || undefined);
    const used = async () =>
      Number(/^[\d.]+(?=MB)/.exec(await podman('stats', '--no-stream', '--format', '{{.MemUsage}}', name)));
    const most = handler === 'vm' ? 400 : 80;
    await until('its memory is told', async () => ((await used()) > 40 && (await used()) < most) || undefined);
    const id = (await podman('inspect', '-f', '{{.Id}}', name)).trim();
    await podman('rm', '-f', '-t', '0', name);
    const place = handler === 'namespace' ? tree.path : '/libpod_parent';
    const isLeft = (kind: string) => existsSync(join('/sys/fs/cgroup', kind, place, `libpod-${id}`));
    await until('no group is left', async () => !['cpu', 'cpuacct', 'memory', 'pids'].some(isLeft) || undefined);
  });

test(
  'under the handler namespace a container and the host see what either mounts in a directory that they share',
  options,
  async () => {
    const directory = join(lab.home, 'both ways');
    await mkdir(directory);
    const run = (source: string, script: string) => {
      const flags = [
        '--annotation',
        'sampan.dev/handler=namespace',
        '-v',
        `${source}:/both:rshared`,
        ...podmanRunFlags,
      ];
      return lab.podman(['run', '--rm', '--cap-add', 'SYS_ADMIN', ...flags, demoImage, 'sh', '-c', script]);
    };
    const bind = (...args: string[]) => command('mount', args);
    await bind('--bind', directory, directory);
    try {
      await bind('--make-private', directory);
      const alone = await run(directory, 'mount -t tmpfs none /both && echo told >/both/word && cat /both/word');
      assert.deepEqual([alone.stdout, existsSync(join(directory, 'word'))], ['told\n', false], alone.stderr);
      await bind('--make-shared', directory);
      await mkdir(join(directory, 'mine'));
      await mkdir(join(directory, 'theirs'));
      // The host mounts once the container has; it has to see that before it goes.
      const script =
        'mount -t tmpfs none /both/mine && echo told >/both/mine/word; until [ -e /both/theirs/word ]; do sleep 0.1; done; cat /both/theirs/word';
      const running = run(directory, script);
      const told = () => readFile(join(directory, 'mine/word'), 'utf8').catch(() => undefined);
      assert.equal(await Promise.race([until("the container's mount", told), running]), 'told\n');
      await bind('-t', 'tmpfs', 'none', join(directory, 'theirs'));
      const table = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' ')[3]);
      const copies = table.filter((root) => root?.endsWith('/both\\040ways'));
      assert.equal(copies.length, 1, "the machine's own mount of it is not on the host");
      await writeFile(join(directory, 'theirs/word'), 'heard\n');
      assert.equal((await running).stdout, 'heard\n');
      assert.equal(await told(), 'told\n', 'as with any OCI runtime, what was mounted on the host stays');
    } finally {
      await command('umount', ['-R', '-l', directory]);
    }
  },
);
