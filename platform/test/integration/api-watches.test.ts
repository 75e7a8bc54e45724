/** Watches over HTTPS, and the clients that use them: ours in process and over HTTPS, and @kubernetes/client-node. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { inDefault, type ServedApi, serveTestApi } from './api-ask.ts';
import { type TestApi, type TestPod, testPod } from './api-test-server.ts';

const { pods, configmaps } = resources;

let running: ServedApi;
let api: TestApi;
let served: ServedApi['served'];
let admin: ServedApi['admin'];
let ask: ServedApi['ask'];
before(async () => {
  running = await serveTestApi();
  ({ api, served, admin, ask } = running);
});
after(() => running[Symbol.asyncDispose]());

describe('watches', () => {
  /** Lines of a watch as parsed events. */
  async function* events(path: string, headers = {}, signal?: AbortSignal) {
    const sent = request(new URL(path, served.url), { agent: admin, headers, signal });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let rest = '';
    try {
      for await (const chunk of response) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line);
      }
    } finally {
      response.destroy();
    }
  }

  test('without a version begin with what is there', async () => {
    for await (const event of events(`${inDefault}/pods?watch=1&fieldSelector=metadata.name%3Dshown`)) {
      assert.deepEqual([event.type, event.object.metadata.name], ['ADDED', 'shown']);
      break;
    }
  });

  test('with sendInitialEvents mark where the beginning ends', async () => {
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const seen: string[] = [];
    for await (const { type, object } of events(`${inDefault}/serviceaccounts?${query}`)) {
      seen.push(type);
      if (type !== 'BOOKMARK') continue;
      assert.equal(object.metadata.annotations['k8s.io/initial-events-end'], 'true');
      break;
    }
    assert.deepEqual(seen, ['ADDED', 'BOOKMARK']);
    const bad = await ask(`${inDefault}/pods?watch=1&sendInitialEvents=true`);
    assert.equal(bad.status, 422);
  });

  test('begin with a state of any size', async () => {
    const large = 'x'.repeat(900_000);
    for (let i = 0; i < 24; i++) {
      const metadata = { name: `bulk-${i}`, namespace: 'default', labels: { bulk: 'yes' } };
      await api.client.create(configmaps, { metadata, data: { large } } as KubeObject);
    }
    let count = 0;
    for await (const { type } of events(`${inDefault}/configmaps?watch=1&labelSelector=bulk%3Dyes`)) {
      assert.equal(type, 'ADDED');
      if (++count === 24) break;
    }
    assert.equal((await ask(`${inDefault}/configmaps?labelSelector=bulk`, { method: 'DELETE' })).status, 200);
  });

  test('end after timeoutSeconds', async () => {
    const started = performance.now();
    for await (const _ of events(`${inDefault}/pods?watch=1&resourceVersion=${await version()}&timeoutSeconds=1`))
      assert.fail();
    assert.ok(performance.now() - started >= 990);
  });

  test('from a forgotten version are told 410 in the stream', async () => {
    for await (const { type, object } of events(`${inDefault}/pods?watch=1&resourceVersion=1`)) {
      assert.deepEqual([type, object.code, object.reason], ['ERROR', 410, 'Expired']);
    }
  });

  test('as Table name the columns once', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const seen: boolean[] = [];
    const path = `${inDefault}/configmaps?watch=1&resourceVersion=${await version()}`;
    const reading = (async () => {
      for await (const { object } of events(path, { accept })) {
        seen.push('columnDefinitions' in object);
        if (seen.length === 2) break;
      }
    })();
    await api.client.create(configmaps, { metadata: { name: 't1', namespace: 'default' } });
    await api.client.create(configmaps, { metadata: { name: 't2', namespace: 'default' } });
    await reading;
    assert.deepEqual(seen, [true, false]);
  });

  test('three hundred idle ones cost little and all hear of a change', async () => {
    const { client } = served;
    const stop = new AbortController();
    const before = process.memoryUsage().heapUsed;
    const resourceVersion = await version();
    let heard = 0;
    const watchers = Array.from({ length: 300 }, async () => {
      for await (const event of client.watch<TestPod>(
        configmaps,
        { resourceVersion, namespace: 'default' },
        stop.signal,
      )) {
        if (event.type === 'ADDED' && event.object.metadata?.name === 'heard') heard++;
        if (heard === 300) stop.abort();
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const each = (process.memoryUsage().heapUsed - before) / 300;
    await api.client.create(configmaps, { metadata: { name: 'heard', namespace: 'default' } });
    await Promise.all(watchers);
    assert.equal(heard, 300);
    // Both ends of the connection are in this process.
    assert.ok(each < 256 * 1024, `${Math.round(each / 1024)} KiB a watch`);
  });

  async function version(): Promise<string> {
    return (await api.client.list(pods)).resourceVersion;
  }
});

describe('clients', () => {
  test('the HTTPS client has the semantics of the one in process', async () => {
    const checks = async (client: KubeClient, name: string) => {
      const made = await client.create<TestPod>(pods, testPod(name));
      await assert.rejects(client.create(pods, testPod(name)), (error) => isReason(error, 'AlreadyExists'));
      const patched = await client.patch<TestPod>(
        pods,
        name,
        { metadata: { labels: { a: 'b' } } },
        {
          namespace: 'default',
          type: 'application/merge-patch+json',
        },
      );
      await assert.rejects(client.update(pods, { ...made, spec: made.spec }), (error) => isReason(error, 'Conflict'));
      const running = { ...patched, status: { ...patched.status, phase: 'Running' } };
      const updated = await client.update<TestPod>(pods, running, { subresource: 'status' });
      assert.equal(updated.status?.phase, 'Running');
      const listed = await client.list<TestPod>(pods, { namespace: 'default', labelSelector: 'a=b' });
      assert.deepEqual(
        listed.items.map((pod) => [pod.kind, pod.metadata?.name]),
        [['Pod', name]],
      );
      await client.delete(pods, name, { namespace: 'default', gracePeriodSeconds: 0 });
      await assert.rejects(client.get(pods, name, 'default'), (error) => isReason(error, 'NotFound'));
      await assert.rejects(
        async () => {
          for await (const _ of client.watch(pods, { resourceVersion: '1' }, new AbortController().signal));
        },
        (error) => isReason(error, 'Expired'),
      );
    };
    await checks(api.client, 'in-process');
    await checks(served.client, 'https');
  });

  test('@kubernetes/client-node lists, writes and watches', async () => {
    const config = new KubeConfig();
    config.loadFromFile(served.kubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    const seen: string[] = [];
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const watching = await new Watch(config).watch(
      `${inDefault}/pods`,
      { labelSelector: 'from=client-node' },
      (phase, object) => {
        seen.push(`${phase} ${object.metadata.name}`);
        if (phase === 'DELETED') resolve();
      },
      () => {},
    );
    const body = {
      metadata: { name: 'cn', labels: { from: 'client-node' } },
      spec: { containers: [{ name: 'a', image: 'b' }] },
    };
    const made = await core.createNamespacedPod({ namespace: 'default', body });
    assert.equal(made.status?.phase, 'Pending');
    assert.equal((await core.listNamespacedPod({ namespace: 'default', labelSelector: 'from' })).items.length, 1);
    await core.deleteNamespacedPod({ namespace: 'default', name: 'cn' });
    await done;
    watching.abort();
    assert.deepEqual(seen, ['ADDED cn', 'DELETED cn']);
  });

  test('one that says it will send and does not holds up nobody else', async () => {
    const { certificate, key } = await api.pki.adminClient();
    const { port } = served;
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: api.pki.caCertificate,
      cert: certificate,
      key,
      servername: 'localhost',
    });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.write(
      `POST ${inDefault}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
    );
    assert.equal((await ask(`${inDefault}/configmaps/large`)).status, 200);
    socket.destroy();
  });
});
