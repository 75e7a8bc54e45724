/**
 * Hooks of the host with real machines: what a hook does to the network namespace of the process that it is told of is the container's network, on the host and in a
 * VM; what it fails at fails the create; nothing of it is lost with the service. And Podman's --hooks-dir.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { CommandResult } from './support/command.ts';
import { FaultyOci } from './support/faulty-oci.ts';
import { missingForPodman, PodmanLab, podmanRunFlags } from './support/podman-lab.ts';
import { demoImage } from './support/pods.ts';
import { until } from './support/wait.ts';

const missing = missingForPodman();
const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
const mounts = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
];
const PATH = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin';

/** A wire from the container's network namespace to the host's own. */
const wire = `pid=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' "$AT/createRuntime.json")
ip link add name smpnhook0 type veth peer name eth0 netns $pid
ip address add 10.213.77.1/24 dev smpnhook0
ip link set dev smpnhook0 up
nsenter -t $pid -n sh -c 'ip address add 10.213.77.2/24 dev eth0; ip link set dev eth0 up'`;

describe('hooks of the host', { skip: missing }, () => {
  let faulty: FaultyOci;
  before(async () => {
    faulty = await FaultyOci.open('namespace');
  });
  afterEach(async () => {
    await faulty.clear();
    await rm(at(), { recursive: true, force: true });
  });
  after(() => faulty?.[Symbol.asyncDispose]());

  const at = (...names: string[]) => join(faulty.home, 'hooks', ...names);
  const told = async () => (existsSync(at('told')) ? (await readFile(at('told'), 'utf8')).trim().split('\n') : []);
  const state = async (kind: string) => JSON.parse(await readFile(at(`${kind}.json`), 'utf8'));

  /** Notes its kind and what it reads; then `more`. */
  const note = (kind: string, more = 'true') => ({
    path: '/bin/sh',
    args: ['sh', '-c', `cat >"$AT/${kind}.json"; echo ${kind} >>"$AT/told"; ${more}`],
    env: [`AT=${at()}`, PATH],
  });

  /** Its output is in a file: whoever made it has ended when it speaks. */
  async function create(id: string, handler: string, script: string, hooks: object): Promise<CommandResult> {
    const bundle = join(faulty.home, id);
    await mkdir(at(), { recursive: true });
    await mkdir(bundle, { recursive: true });
    const config = {
      ociVersion: '1.0.2',
      process: { args: ['/bin/sh', '-c', script], env: ['PATH=/bin'], cwd: '/', capabilities },
      root: { path: join(faulty.home, 'rootfs') },
      mounts,
      linux: { namespaces },
      annotations: { 'sampan.dev/handler': handler },
      hooks,
    };
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    const started = faulty.start(['create', '--bundle', bundle, '--pid-file', join(bundle, 'pid'), id]);
    outputs.set(id, started.output);
    await until('an answer', async () => started.child.exitCode !== null);
    return { code: started.child.exitCode!, ...started.output };
  }
  const outputs = new Map<string, { stdout: string; stderr: string }>();
  const raw = ['CAP_NET_RAW'];
  const capabilities = { bounding: raw, effective: raw, permitted: raw };

  async function remove(id: string): Promise<void> {
    const removed = await faulty.call(['delete', '--force', id]);
    assert.equal(removed.code, 0, removed.stderr);
    await faulty.forgetFiles(id);
  }

  for (const handler of ['namespace', 'vm'])
    it(`${handler}: what they put into the network of the process they are told of is the container's`, async () => {
      const hooks = {
        prestart: [note('prestart')],
        createRuntime: [note('createRuntime', wire)],
        poststart: [note('poststart')],
        poststop: [note('poststop')],
        startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'cat >/inside'] }],
      };
      const script = 'cat /inside; echo; ping -c 3 10.213.77.1 | grep received; sleep 1000';
      const created = await create(`wired-${handler}`, handler, script, hooks);
      assert.equal(created.code, 0, created.stderr);
      const { pid, ...rest } = await state('createRuntime');
      assert.ok(pid > 1);
      assert.deepEqual(rest, {
        ociVersion: '1.0.2',
        id: `wired-${handler}`,
        status: 'creating',
        bundle: join(faulty.home, `wired-${handler}`),
        annotations: { 'sampan.dev/handler': handler },
      });
      // In a machine there is no process of its own to be told of.
      const toldOf = async () => JSON.parse((await faulty.call(['state', `wired-${handler}`])).stdout).pid;
      if (handler === 'namespace') assert.equal(await toldOf(), pid);
      const started = await faulty.call(['start', `wired-${handler}`]);
      assert.equal(started.code, 0, started.stderr);
      const said = outputs.get(`wired-${handler}`)!;
      await until('it says what it sees', async () => /received/.test(said.stdout));
      const [inside = '', counted] = said.stdout.split('\n');
      assert.equal(JSON.parse(inside).id, `wired-${handler}`);
      assert.match(counted ?? '', /^3 packets transmitted, [1-3] packets received/, said.stderr);
      if (handler === 'namespace') assert.deepEqual([await toldOf(), (await state('poststart')).pid], [pid, pid]);
      assert.deepEqual([(await state('poststart')).status, (await state('poststart')).id], ['running', rest.id]);
      await remove(`wired-${handler}`);
      assert.deepEqual(await told(), ['prestart', 'createRuntime', 'poststart', 'poststop']);
      assert.deepEqual(await state('poststop'), { ...rest, status: 'stopped' });
      await until('the wire is gone', async () => !existsSync('/sys/class/net/smpnhook0'));
    });

  it("on the host the process is the container's own: its first, in its PID namespace and with its root", async () => {
    const look = `pid=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' "$AT/createRuntime.json")
      grep NSpid /proc/$pid/status >"$AT/numbers"; nsenter -t $pid -m ls /bin/sh >"$AT/root"`;
    const { code, stderr } = await create('own', 'namespace', 'sleep 1000', {
      createRuntime: [note('createRuntime', look)],
    });
    assert.equal(code, 0, stderr);
    assert.match(await readFile(at('numbers'), 'utf8'), /\t\d+\t\d+\t1\n$/);
    assert.equal(await readFile(at('root'), 'utf8'), '/bin/sh\n');
    await remove('own');
  });

  for (const handler of ['namespace', 'vm'])
    it(`${handler}: one that fails fails the create in its words, and what was begun is ended`, async () => {
      const hooks = {
        createRuntime: [note('createRuntime', `${wire}; echo no room >&2; exit 4`)],
        poststop: [note('poststop')],
      };
      const { code, stderr } = await create('refused', handler, 'true', hooks);
      assert.equal(code, 1);
      assert.match(stderr, /hooks\.createRuntime\.0: .*exit 4.*no room/);
      assert.deepEqual(await told(), ['createRuntime', 'poststop']);
      assert.match((await faulty.call(['state', 'refused'])).stderr, /does not exist/);
      await until('the wire is gone', async () => !existsSync('/sys/class/net/smpnhook0'));
    });

  it('a program that crun does not find fails the create, before any hook has run', async () => {
    await create('absent', 'namespace', 'true', {});
    await remove('absent');
    const bundle = join(faulty.home, 'absent');
    await mkdir(bundle);
    const config = {
      ociVersion: '1.0.2',
      process: { args: ['/no/such/program'], cwd: '/' },
      root: { path: join(faulty.home, 'rootfs') },
      linux: { namespaces },
      annotations: { 'sampan.dev/handler': 'namespace' },
      hooks: { createRuntime: [note('createRuntime')] },
    };
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    const { code, stderr } = await faulty.call(['create', '--bundle', bundle, 'absent']);
    assert.deepEqual([code, await told()], [1, []], stderr);
    assert.match(stderr, /no\/such\/program/);
  });

  for (const handler of ['namespace', 'vm'])
    it(`${handler}: a service that is killed in between runs none twice, and loses no poststop`, async () => {
      const hooks = {
        createRuntime: [note('createRuntime')],
        poststart: [note('poststart')],
        poststop: [note('poststop')],
      };
      await faulty.at('hooks-created kill');
      const cut = await create('cut', handler, 'sleep 1000', hooks);
      assert.notEqual(cut.code, 0);
      assert.match((await faulty.call(['state', 'cut'])).stderr, /does not exist/);
      await until('poststop', async () => (await told()).includes('poststop'));
      assert.deepEqual(await told(), ['createRuntime', 'poststop']);
      await rm(at('told'));
      const created = await create('cut', handler, 'sleep 1000', hooks);
      assert.equal(created.code, 0, created.stderr);
      await faulty.killService();
      assert.equal((await faulty.call(['start', 'cut'])).code, 0);
      const holder = Number(await readFile(join(faulty.home, 'cut/pid'), 'utf8'));
      await faulty.at('hooks-poststop kill');
      await faulty.call(['delete', '--force', 'cut']);
      await until('the service has died there', () => faulty.hasPassed());
      await faulty.call(['delete', '--force', 'cut']);
      await until('poststop', async () => (await told()).includes('poststop'));
      assert.deepEqual(await told(), ['createRuntime', 'poststart', 'poststop']);
      await until('its holder is told', async () => !existsSync(`/proc/${holder}`));
      await faulty.forgetFiles('cut');
    });
});

describe("Podman's --hooks-dir", { skip: missing }, () => {
  let lab: PodmanLab;
  before(async () => {
    lab = await PodmanLab.open('hooks');
  });
  after(() => lab?.[Symbol.asyncDispose]());

  for (const handler of ['vm', 'namespace'])
    it(`${handler}: the hooks of a directory run around a container that they are for`, async () => {
      const directory = join(lab.home, `hooks-${handler}`);
      await mkdir(directory);
      const stages = ['prestart', 'createRuntime', 'poststart', 'poststop'];
      for (const stage of stages) {
        const script = `cat >${directory}/${stage}.state; echo ${stage} >>${directory}/told`;
        const hook = { path: '/bin/sh', args: ['sh', '-c', script], env: [PATH] };
        const file = { version: '1.0.0', hook, when: { annotations: { '^asks$': '^yes$' } }, stages: [stage] };
        await writeFile(join(directory, `${stage}.json`), JSON.stringify(file));
      }
      const run = ['--hooks-dir', directory, 'run', '--rm', '--annotation', `sampan.dev/handler=${handler}`];
      const unasked = await lab.podman([...run, ...podmanRunFlags, demoImage, 'true']);
      assert.equal(unasked.code, 0, unasked.stderr);
      const { code, stdout, stderr } = await lab.podman([
        ...run,
        ...['--annotation', 'asks=yes', ...podmanRunFlags, demoImage, 'echo', 'hello'],
      ]);
      assert.deepEqual([code, stdout], [0, 'hello\n'], `${stderr}\n${(await lab.log()).slice(-2000)}`);
      const told = async () => (await readFile(join(directory, 'told'), 'utf8')).trim().split('\n');
      await until('the last', async () => (await told()).includes('poststop'));
      assert.deepEqual(await told(), stages);
      const { id, annotations } = JSON.parse(await readFile(join(directory, 'poststop.state'), 'utf8'));
      assert.deepEqual([/^[0-9a-f]{64}$/.test(id), annotations.asks], [true, 'yes']);
    });
});
