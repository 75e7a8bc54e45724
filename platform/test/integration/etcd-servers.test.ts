/** Two API servers, each a process of its own, over one etcd. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type KubeClient, type KubeObject, resources, type WatchEvent } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { connectWith } from '../../../cli/src/connect.ts';
import { loadCredentials } from '../../../cli/src/credentials.ts';
import { serverFlags } from '../../../cli/src/setup/server-process.ts';
import { testPod } from './api-test-server.ts';
import { debianEtcd, type Etcd, newEtcd, startEtcd } from './support/etcd-lab.ts';
import { until } from './support/wait.ts';

interface Server {
  url: string;
  kubeconfig: string;
  client: KubeClient;
  process: ChildProcess;
  end(signal: NodeJS.Signals): Promise<void>;
}

const binary = debianEtcd() ?? (await newEtcd()).path;

describe('two API servers over one etcd', {
  skip: binary ? false : 'no etcd on this machine (package etcd-server)',
}, () => {
  let directory: string;
  let etcd: Etcd;
  let one: Server;
  let two: Server;

  const start = async (name: string): Promise<Server> => {
    const env = { ...process.env, SAMPAN_STORE: 'etcd', SAMPAN_ETCD_ENDPOINTS: etcd.endpoint };
    const script = join(import.meta.dirname, 'support/api-process.ts');
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', process.execPath, ...serverFlags, script, join(directory, name), '--controllers'],
      {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const line = await Promise.race([
      new Promise<string>((resolve) => child.stdout.once('data', (chunk) => resolve(`${chunk}`))),
      gone.then(() => Promise.reject(new Error(`server ${name} ended`))),
    ]);
    const { url, kubeconfig } = JSON.parse(line);
    const client = connectWith(await loadCredentials(kubeconfig));
    const end = async (signal: NodeJS.Signals) => {
      child.kill(signal);
      await gone;
    };
    return { url, kubeconfig, client, process: child, end };
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sampan-two-'));
    etcd = await startEtcd({ binary: binary! });
    // At the same moment: they must agree on their secrets and on the first namespaces.
    [one, two] = await Promise.all([start('one'), start('two')]);
  });
  after(async () => {
    await Promise.all([one?.end('SIGTERM'), two?.end('SIGTERM')]);
    await etcd?.dispose();
    await rm(directory, { recursive: true, force: true });
  });

  it('a list or get right after a write to the other server shows the write', async () => {
    for (let i = 0; i < 60; i++) {
      const [writer, reader] = i % 2 ? [one.client, two.client] : [two.client, one.client];
      const name = `fresh-${i}`;
      const { metadata } = await writer.create(resources.configmaps, configMap(name, `${i}`));
      const found = await reader.get(resources.configmaps, name, 'default');
      assert.equal(found.metadata?.resourceVersion, metadata?.resourceVersion);
      await writer.delete(resources.configmaps, name, { namespace: 'default' });
      const { items } = await reader.list(resources.configmaps, { namespace: 'default' });
      assert.ok(!items.some((item) => item.metadata?.name === name), `${name} is still listed after its deletion`);
    }
  });

  it('a watch begun with one server goes on with the other, where it stopped', async () => {
    const { resourceVersion } = await one.client.list(resources.configmaps, { namespace: 'default' });
    const seen: string[] = [];
    let version = resourceVersion;
    for (let i = 0; i < 20; i++) await (i % 2 ? one : two).client.create(resources.configmaps, configMap(`w-${i}`, ''));
    for (const server of [one, two, one, two]) {
      const abort = new AbortController();
      const options = { namespace: 'default', resourceVersion: version };
      for await (const event of server.client.watch(resources.configmaps, options, abort.signal)) {
        version = event.object.metadata!.resourceVersion!;
        seen.push((event.object as KubeObject).metadata!.name!);
        if (seen.length % 5 === 0) abort.abort();
        if (seen.length % 5 === 0) break;
      }
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, i) => `w-${i}`),
    );
  });

  it('of two writers with the same version, one at each server, one wins', async () => {
    const created = await one.client.create(resources.configmaps, configMap('race', '0'));
    for (let i = 0, current = created; i < 20; i++) {
      const results = await Promise.allSettled(
        [one, two].map(({ client }, n) =>
          client.update(resources.configmaps, { ...current, data: { n: `${i}-${n}` } }),
        ),
      );
      const won = results.filter((result) => result.status === 'fulfilled');
      const lost = results.filter((result) => result.status === 'rejected');
      assert.equal(won.length, 1);
      assert.ok(isReason(lost[0]!.reason, 'Conflict'));
      current = won[0]!.value;
    }
  });

  it("a service account's token from one server is good at the other, and so are certificates and the CA", async () => {
    const account = { metadata: { name: 'robot', namespace: 'default' } };
    await one.client.create(resources.serviceaccounts, account);
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } };
    const { status } = await one.client.create<typeof request & { status?: { token: string } }>(
      resources.serviceaccounts,
      request,
      { namespace: 'default', name: 'robot', subresource: 'token' },
    );
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: status!.token } };
    const ref = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews', namespaced: false };
    const answer = await two.client.create<typeof review & { status?: { user?: { username: string } } }>(ref, review);
    assert.equal(answer.status?.user?.username, 'system:serviceaccount:default:robot');

    const credentials = await loadCredentials(one.kubeconfig);
    const crossed = connectWith({ ...credentials, server: two.url });
    assert.ok((await crossed.list(resources.namespaces)).items.length >= 4);
  });

  it('etcd may be killed and come back: both servers go on, and a watch misses nothing', async () => {
    const { resourceVersion } = await two.client.list(resources.configmaps, { namespace: 'default' });
    const abort = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      const options = { namespace: 'default', resourceVersion };
      for await (const event of two.client.watch(resources.configmaps, options, abort.signal)) seen.push(nameOf(event));
    })();
    await one.client.create(resources.configmaps, configMap('before-etcd-died', ''));
    await etcd.kill();
    await assert.rejects(one.client.create(resources.configmaps, configMap('meanwhile', '')));
    await etcd.restart();
    await one.client.create(resources.configmaps, configMap('after-etcd-died', ''));
    await until('the watch has told', async () => seen.includes('after-etcd-died'));
    assert.deepEqual(
      seen.filter((name) => name.endsWith('etcd-died')),
      ['before-etcd-died', 'after-etcd-died'],
    );
    abort.abort();
    await watching.catch(() => {});
  });

  it('a leader killed with -9 is replaced, and nothing stands still for more than 15 s', async () => {
    const leader = await until('a leader', () => leaderOf(two.client));
    const [victim, other] = leader === one.process.pid ? [one, two] : [two, one];
    assert.equal(leader, victim.process.pid);
    await victim.end('SIGKILL');
    const killedAt = performance.now();
    // A namespace gets its default service account from a controller.
    await other.client.create(resources.namespaces, { metadata: { name: 'after-the-kill' } });
    await until(
      'the new leader works',
      () => other.client.get(resources.serviceaccounts, 'default', 'after-the-kill').then(Boolean),
      20_000,
    );
    const stoodStillMs = performance.now() - killedAt;
    assert.ok(stoodStillMs < 15_000, `controllers stood still for ${Math.round(stoodStillMs)} ms`);
    assert.equal(await leaderOf(other.client), other.process.pid);
    const again = await start(victim === one ? 'one' : 'two');
    if (victim === one) one = again;
    else two = again;
    await again.client.get(resources.serviceaccounts, 'default', 'after-the-kill');
  });

  it('a leader told to end hands over at once', async () => {
    const leader = await until('a leader', () => leaderOf(two.client));
    const [leaving, staying] = leader === one.process.pid ? [one, two] : [two, one];
    await leaving.end('SIGTERM');
    await until('the other leads', async () => (await leaderOf(staying.client)) === staying.process.pid, 5_000);
    const again = await start(leaving === one ? 'one' : 'two');
    if (leaving === one) one = again;
    else two = again;
    const pod = await again.client.create(resources.pods, testPod('last'));
    const { metadata } = await staying.client.get(resources.pods, 'last', 'default');
    assert.equal(metadata?.uid, pod.metadata?.uid);
  });
});

function configMap(name: string, text: string): KubeObject & { data: Record<string, string> } {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data: { text } };
}

const nameOf = (event: WatchEvent<KubeObject>): string => (event.object as KubeObject).metadata?.name ?? '';

/** The process that holds the lease. */
async function leaderOf(client: KubeClient): Promise<number | undefined> {
  const lease = await client.get<KubeObject & { spec?: { holderIdentity?: string } }>(
    resources.leases,
    'sampan-controllers',
    'kube-system',
  );
  return Number(lease.spec?.holderIdentity?.split('_')[1]) || undefined;
}
