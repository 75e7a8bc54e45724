/** What each containerd does with tasks through containerd-shim-sampan-v2, each in a VM of its own. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { addBusybox } from '../fixtures/images/debian-root.ts';
import { CgroupTree } from './support/cgroup-tree.ts';
import { command } from './support/command.ts';
import { ContainerdLab, type ContainerdPrograms, image } from './support/containerd-lab.ts';
import { until } from './support/wait.ts';

const buildMs = 590_000;

const bind = (source: string, target: string, options: string) => [
  '--mount',
  `type=bind,src=${source},dst=${target},options=${options}`,
];

/** `programs`: of the containerd meant, or why there is none. */
export function taskTests(programs: () => Promise<{ programs?: ContainerdPrograms; missing?: string }>): void {
  let lab: ContainerdLab;
  let missing: string | undefined;
  before(
    async () => {
      const found = await programs();
      if (found.programs) lab = await ContainerdLab.start(found.programs);
      missing = found.missing;
    },
    { timeout: buildMs },
  );
  after(() => lab?.stop());
  /** A test that failed leaves no task for the next. */
  afterEach(() => lab?.clear());
  const check = (sentence: string, work: () => Promise<void>) =>
    test(sentence, (t) => (missing ? t.skip(missing) : work()));

  check('ctr run prints what a container in a VM says, and ends with its exit code', async () => {
    const script = 'echo "kernel $(uname -r)"; echo complaint >&2; exit 3';
    const { code, stdout, stderr } = await lab.run('hello', ['sh', '-c', script], ['--rm']);
    assert.equal(code, 3, stderr);
    assert.match(stdout, /^kernel \S+\n$/);
    assert.match(stderr, /complaint/);
    const host = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
    assert.ok(!stdout.includes(host), `${stdout} is the host's kernel`);
    assert.deepEqual(lab.machines(), []);
  });

  check('a task is looked at, entered, held still, measured, killed and deleted', async () => {
    const started = await lab.run('busy', ['sh', '-c', 'while true; do :; done'], ['-d']);
    assert.equal(started.code, 0, started.stderr);
    assert.equal(await lab.state('busy'), 'RUNNING');
    const bundle = join(lab.home, 'c/state/io.containerd.runtime.v2.task/default/busy');
    if (lab.programs.major === 1) assert.match(await readFile(join(bundle, 'address'), 'utf8'), /^unix:\/\//);
    else {
      const { version, protocol } = JSON.parse(await readFile(join(bundle, 'bootstrap.json'), 'utf8'));
      assert.deepEqual([version, protocol], [3, 'ttrpc']);
    }
    const entered = await lab.ctr([
      'task',
      'exec',
      '--exec-id',
      'one',
      '--user',
      '1000',
      'busy',
      'sh',
      '-c',
      'id -u; exit 5',
    ]);
    assert.deepEqual([entered.stdout, entered.code], ['1000\n', 5]);
    const metrics = JSON.parse((await lab.ctr(['task', 'metrics', '--format', 'json', 'busy'])).stdout);
    assert.ok(Number(metrics.memory?.usage) > 0, JSON.stringify(metrics));
    assert.ok(Number(metrics.cpu?.usage_usec) > 0, JSON.stringify(metrics));
    assert.match((await lab.ctr(['task', 'ps', 'busy'])).stdout, /^\d+/m);

    assert.equal((await lab.ctr(['task', 'pause', 'busy'])).code, 0);
    assert.equal(await lab.state('busy'), 'PAUSED');
    const cpu = async () => {
      const { stdout } = await lab.ctr(['task', 'metrics', '--format', 'json', 'busy']);
      return JSON.parse(stdout).cpu.usage_usec as number;
    };
    const held = await cpu();
    await delay(500);
    assert.ok((await cpu()) - held < 50_000, 'a paused task goes on');
    assert.equal((await lab.ctr(['task', 'resume', 'busy'])).code, 0);
    assert.equal(await lab.state('busy'), 'RUNNING');

    assert.notEqual((await lab.ctr(['task', 'rm', 'busy'])).code, 0, 'a running task was removed');
    assert.equal((await lab.ctr(['task', 'kill', '-s', 'SIGKILL', 'busy'])).code, 0);
    await until('the task has stopped', async () => (await lab.state('busy')) === 'STOPPED');
    assert.match((await lab.ctr(['task', 'rm', 'busy'])).stderr, /exit code 137/);
    assert.equal((await lab.ctr(['container', 'rm', 'busy'])).code, 0);
    assert.deepEqual(lab.machines(), []);
  });

  check('files and directories of the host are carried in; what a machine cannot keep is refused by name', async () => {
    const directory = await mkdtemp('/var/tmp/sampan-shim-files-');
    try {
      await writeFile(join(directory, 'note'), 'from the host\n');
      const script = 'cat /data/note /one; echo written >/data/answer; echo x >/one || echo refused';
      const flags = [
        ...bind(directory, '/data', 'rbind:rw'),
        ...bind(join(directory, 'note'), '/one', 'rbind:ro'),
        '--rm',
      ];
      const { code, stdout, stderr } = await lab.run('files', ['sh', '-c', script], flags);
      assert.deepEqual([code, stdout], [0, 'from the host\nfrom the host\nrefused\n'], stderr);
      assert.equal(await readFile(join(directory, 'answer'), 'utf8'), 'written\n');

      const shared = await lab.run('socket', ['true'], [...bind(lab.socket, '/run/c.sock', 'rbind:rw'), '--rm']);
      assert.notEqual(shared.code, 0);
      assert.match(shared.stderr, /c\.sock is neither a file nor a directory/);
      const host = await lab.run('host-network', ['true'], ['--net-host', '--rm']);
      assert.match(host.stderr, /linux\.namespaces: no network namespace means the host's/);
      assert.deepEqual(lab.machines(), []);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  check('a program that is not there fails the start with its name, and leaves nothing', async () => {
    const { code, stderr } = await lab.run('nothing', ['/no/such/program'], ['--rm']);
    assert.notEqual(code, 0);
    assert.match(stderr, /no\/such\/program/);
    assert.deepEqual(lab.machines(), []);
  });

  check('a task outlives kill -9 of containerd, and the next one finds it', async () => {
    assert.equal((await lab.run('stays', ['sleep', '1000'], ['-d'])).code, 0);
    const machines = lab.machines();
    await lab.killContainerd();
    await lab.startContainerd();
    assert.equal(await lab.state('stays'), 'RUNNING');
    const entered = await lab.ctr(['task', 'exec', '--exec-id', 'again', 'stays', 'echo', 'still here']);
    assert.equal(entered.stdout, 'still here\n', entered.stderr);
    assert.deepEqual(lab.machines(), machines);
    await lab.ctr(['task', 'kill', '-s', 'SIGKILL', 'stays']);
    await until('the task has stopped', async () => (await lab.state('stays')) === 'STOPPED');
    await lab.ctr(['task', 'rm', 'stays']);
    await lab.ctr(['container', 'rm', 'stays']);
    assert.deepEqual(lab.machines(), []);
  });

  check(
    'a task outlives kill -9 of our own process: containerd does not notice, and what it waits for comes',
    async () => {
      const started = await lab.run('survivor', ['sh', '-c', 'sleep 1000 & wait; echo unreached'], ['-d']);
      assert.equal(started.code, 0, started.stderr);
      const machines = lab.machines();
      const [before] = lab.servicePids();
      await lab.killService();
      // Nobody starts it: the relay, which holds containerd's connections, does.
      await until('the task is there again', async () => (await lab.state('survivor')) === 'RUNNING', 60_000);
      assert.notDeepEqual(lab.servicePids(), [before]);
      const entered = await lab.ctr(['task', 'exec', '--exec-id', 'after', 'survivor', 'echo', 'still here']);
      assert.equal(entered.stdout, 'still here\n', entered.stderr);
      assert.deepEqual(lab.machines(), machines);
      await lab.ctr(['task', 'kill', '-s', 'SIGKILL', 'survivor']);
      await until('the task has stopped', async () => (await lab.state('survivor')) === 'STOPPED');
      assert.match((await lab.ctr(['task', 'rm', 'survivor'])).stderr, /exit code 137/);
      assert.deepEqual(lab.machines(), []);
    },
  );

  check(
    'a client that is attached goes on over kill -9 of our own process, and loses nothing of what it reads and writes',
    async () => {
      const count = 'i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo $i; sleep 0.1; done; echo "$(cat)"; exit 3';
      const client = lab.attach('counts', ['sh', '-c', count]);
      await until('it counts', async () => client.stdout().includes('\n5\n'));
      await lab.killService();
      client.write('written while nobody was there\n');
      await until('the runtime is there again', async () => lab.servicePids().length === 1);
      client.end('and after');
      assert.equal(await client.exited, 3);
      const numbers = Array.from({ length: 40 }, (_, index) => `${index + 1}\n`).join('');
      assert.equal(client.stdout(), `${numbers}written while nobody was there\nand after\n`);
    },
  );

  check('a task that has ended keeps its exit code for a containerd that was killed meanwhile', async () => {
    assert.equal((await lab.run('ended', ['sh', '-c', 'exit 7'], ['-d'])).code, 0);
    await until('it has ended', async () => (await lab.state('ended')) === 'STOPPED');
    await lab.killContainerd();
    await lab.startContainerd();
    assert.equal(await lab.state('ended'), 'STOPPED');
    assert.match((await lab.ctr(['task', 'rm', 'ended'])).stderr, /exit code 7/);
  });

  check('what is piped into ctr exec arrives, and so does its end: no command waits for ever', async () => {
    assert.equal((await lab.run('piped', ['sleep', '1000'], ['-d'])).code, 0);
    const exec = (name: string, input: string) =>
      lab.ctr(['task', 'exec', '--exec-id', name, 'piped', 'sh', '-c', 'wc -c'], input);
    for (let round = 0; round < 6; round++) assert.equal((await exec(`short${round}`, 'x\n')).stdout.trim(), '2');
    assert.equal((await exec('long', 'x'.repeat(300_000))).stdout.trim(), '300000');
    assert.equal((await exec('empty', '')).stdout.trim(), '0');
    const run = ['run', '--rm', '--runtime', 'io.containerd.sampan.v2', image, 'run', 'wc', '-c'];
    assert.equal((await lab.ctr(run, 'x\n')).stdout.trim(), '2');
  });

  check('what happens to a task is told in order', async () => {
    const events = await lab.events();
    assert.equal((await lab.run('told', ['sh', '-c', 'exit 4'], ['--rm'])).code, 4);
    await until('its end is told', async () => events.text().includes('/tasks/delete'));
    await events.stop();
    const topics = [...events.text().matchAll(/ (\/tasks\/\S+) (\{.*\})/g)].map(([, topic, body]) => ({
      topic,
      body: JSON.parse(body!) as { container_id?: string; exit_status?: number },
    }));
    assert.deepEqual(
      topics.map(({ topic }) => topic),
      ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'],
    );
    assert.ok(
      topics.every(({ body }) => body.container_id === 'told'),
      events.text(),
    );
    assert.equal(topics[2]?.body.exit_status, 4);
  });

  check("output goes to a file or to a program that the client names, over our own process's death too", async () => {
    const directory = await mkdtemp('/var/tmp/sampan-log-uri-');
    const at = (name: string) => join(directory, name);
    const said = (name: string) => readFile(at(name), 'utf8').catch(() => '');
    try {
      const file = await lab.run(
        'filed',
        ['sh', '-c', 'echo out; echo err >&2'],
        ['--log-uri', `file://${at('new/log')}`],
      );
      assert.equal(file.code, 0, file.stderr);
      assert.deepEqual((await said('new/log')).split('\n').sort(), ['', 'err', 'out']);

      const program =
        '#!/bin/sh\necho "$CONTAINER_NAMESPACE $CONTAINER_ID" > "$2/who"\ncat <&3 5>&- > "$2/out" & cat <&4 5>&- > "$2/err" &\nexec 5>&-\nwait\n';
      await writeFile(at('logger'), program, { mode: 0o755 });
      const uri = `binary://${at('logger')}?directory=${directory}`;
      const script = 'i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo $i; sleep 0.1; done; echo end >&2';
      assert.equal((await lab.run('logged', ['sh', '-c', script], ['-d', '--log-uri', uri])).code, 0);
      await until('it counts', async () => (await said('out')).includes('\n3\n'));
      await lab.killService();
      await until('all of it', async () => (await said('err')) === 'end\n', 60_000);
      const numbers = [...new Set((await said('out')).trim().split('\n').map(Number))];
      assert.deepEqual(
        numbers,
        Array.from({ length: 30 }, (_, index) => index + 1),
      );
      assert.equal(await said('who'), 'default logged\n');
      await until('the program ends with it', async () => !(await command('pgrep', ['-f', at('logger')])).stdout);
      const strange = await lab.run('strange', ['true'], ['--rm', '--log-uri', 'tcp://127.0.0.1:1']);
      assert.match(strange.stderr, /output to tcp:\/\/: wanted file, binary or fifo/);
      const missing = await lab.run('missing', ['true'], ['--rm', '--log-uri', 'binary:///no/such/logger']);
      assert.match(missing.stderr, /cannot write to the program \/no\/such\/logger/);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  check('a task is counted in the control group that was asked for, which goes with it', async () => {
    await using tree = await CgroupTree.make();
    for (const runtime of ['io.containerd.sampan.v2', 'io.containerd.sampan-namespace.v2']) {
      const flags = ['-d', '--cgroup', `${tree.path}/web`];
      const started = await lab.run('counted', ['sleep', '1000'], flags, runtime);
      assert.equal(started.code, 0, started.stderr);
      assert.deepEqual(tree.groups().slice(0, 1), ['web']);
      const members = await tree.members(`${tree.path}/web`);
      const names = await Promise.all(members.map(async (pid) => (await readFile(`/proc/${pid}/comm`, 'utf8')).trim()));
      // On the host's kernel it is the task's own group; else its machine's.
      if (runtime.includes('namespace')) assert.deepEqual(names, ['sleep']);
      else for (const pid of lab.machines()) assert.ok(members.includes(pid), `${pid} is not among ${members}`);
      await lab.ctr(['task', 'rm', '-f', 'counted']);
      await lab.ctr(['container', 'rm', 'counted']);
      assert.deepEqual([lab.machines(), tree.groups()], [[], []]);
    }
    const refused = await lab.run('astray', ['true'], ['--rm', '--cgroup', `${tree.path}/../web`]);
    assert.match(refused.stderr, /linux\.cgroupsPath ".*" is no path of a control group/);
  });

  check("under the other name of the shim a task runs on the host's kernel, in namespaces", async () => {
    const runtime = 'io.containerd.sampan-namespace.v2';
    const { code, stdout, stderr } = await lab.run('plain', ['uname', '-r'], ['--rm'], runtime);
    assert.deepEqual([code, stdout], [0, await readFile('/proc/sys/kernel/osrelease', 'utf8')], stderr);
    const asked = ['--rm', '--annotation', 'sampan.dev/handler=vm'];
    assert.notEqual((await lab.run('asked', ['uname', '-r'], asked, runtime)).stdout, stdout);
    assert.deepEqual(lab.machines(), []);
  });

  for (const handler of ['vm', 'namespace'])
    check(`${handler}: hooks of a specification that ctr is given run around its task`, async () => {
      const directory = await mkdtemp('/var/tmp/sampan-shim-hooks-');
      try {
        await addBusybox(join(directory, 'rootfs'), []);
        const hook = (kind: string) => ({
          path: '/bin/sh',
          args: ['sh', '-c', `cat >${directory}/${kind}; echo ${kind} >>${directory}/told`],
          env: ['PATH=/usr/bin:/bin'],
        });
        const kinds = ['prestart', 'createRuntime', 'poststart', 'poststop'];
        const specification = {
          ociVersion: '1.0.2',
          process: { args: ['/bin/echo', 'hello'], cwd: '/', user: { uid: 0, gid: 0 } },
          root: { path: join(directory, 'rootfs') },
          mounts: [{ destination: '/dev', type: 'tmpfs', source: 'tmpfs' }],
          linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
          annotations: { 'sampan.dev/handler': handler },
          hooks: Object.fromEntries(kinds.map((kind) => [kind, [hook(kind)]])),
        };
        await writeFile(join(directory, 'config.json'), JSON.stringify(specification));
        const config = ['--config', join(directory, 'config.json')];
        const { code, stdout, stderr } = await lab.ctr([
          ...['run', '--rm', '--runtime', 'io.containerd.sampan.v2', ...config, `hooked-${handler}`],
        ]);
        assert.deepEqual([code, stdout], [0, 'hello\n'], stderr);
        assert.deepEqual((await readFile(join(directory, 'told'), 'utf8')).trim().split('\n'), kinds);
        const { id, status } = JSON.parse(await readFile(join(directory, 'poststop'), 'utf8'));
        assert.deepEqual([id, status], [`hooked-${handler}`, 'stopped']);
      } finally {
        await rm(directory, { recursive: true });
      }
    });

  check('no process stays for a task but those of its machine, and the shim answers in milliseconds', async () => {
    assert.equal((await lab.run('first', ['sleep', '1000'], ['-d'])).code, 0);
    const one = lab.processes();
    assert.equal((await lab.run('second', ['sleep', '1000'], ['-d'])).code, 0);
    const more = [...lab.processes()].filter(([pid]) => !one.has(pid)).map(([, line]) => line);
    // The machine itself runs in a jail, from where nothing points at the lab.
    assert.equal(lab.machines().length, 2);
    // One on the host that a task before this has left the place of is made ready again meanwhile.
    const strange = more.filter((line) => !/^\S*virtiofsd |\/agent machine --directory \S*\/parked\//.test(line));
    assert.deepEqual(strange, []);
    const shims = [...lab.processes().values()].filter((line) => line.includes('containerd-shim-sampan'));
    // What listens on the loopback of Pods is there once a task had a network namespace, one for all.
    const roles = shims.map((line) => /containerd-shim-sampan-v2 (\w+)/.exec(line)?.[1]).sort();
    assert.deepEqual(
      roles.filter((role, index) => role !== 'loopback' || index > 0),
      ['relay'],
      shims.join('\n'),
    );

    const directory = await mkdtemp('/var/tmp/sampan-shim-start-');
    const flags = `-namespace probe -address ${lab.socket} -id probe start`;
    const times: number[] = [];
    for (let round = 0; round < 20; round++) {
      const script = `cd ${directory} && s=$(date +%s%N) && containerd-shim-sampan-v2 ${flags} >/dev/null && e=$(date +%s%N) && echo $((e - s))`;
      times.push(Number((await command('sh', ['-c', script], { env: lab.env })).stdout) / 1e6);
    }
    await rm(directory, { recursive: true });
    const fastest = Math.min(...times);
    assert.ok(fastest > 0 && fastest < 25, `the fastest of 20 starts took ${fastest} ms`);
  });
}
