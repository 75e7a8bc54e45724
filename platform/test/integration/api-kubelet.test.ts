/** Logs, exec and proxies of Pods on nodes of others, over TLS on both sides, with a kubelet's server of the test's own. kubelet.test.ts has a real one. */
import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { WebSocket } from 'ws';
import { createStreamingHook } from '../../src/apiserver/streaming/streaming.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type KubeletServer, startKubeletServer } from '../fixtures/kubelet-server.ts';
import { TestSession } from '../fixtures/streaming-server.ts';
import { startTestApi, type TestApi, testPod } from './api-test-server.ts';

const pods = '/api/v1/namespaces/default/pods';

describe('Pods on a node whose kubelet is not ours', () => {
  let api: TestApi;
  let kubelet: KubeletServer;
  let port: number;
  let summary: object = {};

  before(async () => {
    api = await startTestApi({ more: { localNode: 'ours', streaming: createStreamingHook({ log: silentLogger }) } });
    port = (await api.listen()).port;
    const answer: Parameters<typeof startKubeletServer>[0] = (request, response) => {
      if (request.url === '/stats/summary') return void response.end(JSON.stringify(summary));
      const isThere = request.url?.startsWith('/containerLogs/default/web/main') || request.url === '/healthz';
      response.writeHead(isThere ? 200 : 404).end(isThere ? `${request.method} one\n` : 'not here');
    };
    kubelet = await startKubeletServer(answer, api.pki.clientCaCertificate);
    const { host, port: Port } = kubelet.endpoint;
    const status = {
      addresses: [{ type: 'InternalIP', address: host }],
      daemonEndpoints: { kubeletEndpoint: { Port } },
    };
    for (const name of ['theirs', 'mute']) await api.client.create(resources.nodes, { metadata: { name } });
    await api.client.patch(resources.nodes, 'theirs', { status } as object, {
      subresource: 'status',
      type: 'application/merge-patch+json',
    });
    for (const [name, nodeName] of Object.entries({ web: 'theirs', other: 'mute', lost: 'nowhere', own: 'ours' })) {
      const pod = testPod(name);
      pod.spec.nodeName = nodeName;
      await api.client.create(resources.pods, pod as KubeObject);
    }
  });
  after(async () => {
    await kubelet?.[Symbol.asyncDispose]();
    await api?.[Symbol.asyncDispose]();
  });

  const admin = async () => {
    const { certificate: cert, key } = await api.pki.adminClient();
    return { cert, key, ca: api.pki.caCertificate };
  };
  const ask = async (path: string) => {
    const request = httpsRequest({ host: '127.0.0.1', port, path, agent: false, ...(await admin()) });
    const answered = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      request.once('error', reject);
      request.once('response', async (answer) => resolve({ status: answer.statusCode, body: await text(answer) }));
    });
    request.end();
    return answered;
  };

  it('a log comes from the kubelet, asked as the user that kubelets know', async () => {
    assert.deepEqual(await ask(`${pods}/web/log?tailLines=1`), { status: 200, body: 'GET one\n' });
    assert.deepEqual(kubelet.asked.at(-1), {
      url: '/containerLogs/default/web/main?tailLines=1',
      user: 'kube-apiserver-kubelet-client',
    });
    const { items } = await api.client.list(
      { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterrolebindings', namespaced: false },
      {},
    );
    const binding = items.find(({ metadata }) => metadata?.name === 'system:kubelet-api-admin');
    assert.match(JSON.stringify(binding), /"name":"kube-apiserver-kubelet-client"/);
  });

  it('what it uses comes from the kubelet, of its own Pods alone', async () => {
    const used = { cpu: { usageNanoCores: 250_000_000 }, memory: { workingSetBytes: 3 << 20 } };
    const container = { name: 'main', ...used };
    const { items } = await api.client.list<KubeObject>(resources.pods, { namespace: 'default' });
    // What it says of others' Pods is not for it to say.
    summary = {
      node: { nodeName: 'theirs', ...used },
      pods: items.map(({ metadata }) => ({ podRef: metadata, containers: [container] })),
    };
    const root = '/apis/metrics.k8s.io/v1beta1';
    const told = async (path: string) =>
      (JSON.parse((await ask(`${root}${path}`)).body) as { items: (KubeObject & { window: string })[] }).items;
    const [pod, ...otherPods] = await told('/namespaces/default/pods');
    assert.deepEqual([pod?.metadata?.name, otherPods.length], ['web', 0]);
    assert.deepEqual(
      [pod?.window, (pod as { containers?: object } | undefined)?.containers],
      ['10s', [{ name: 'main', usage: { cpu: '250m', memory: '3Mi' } }]],
    );
    const nodes = await told('/nodes');
    assert.deepEqual(
      nodes.map((node) => [node.metadata?.name, (node as { usage?: object }).usage]),
      [['theirs', { cpu: '250m', memory: '3Mi' }]],
    );
    const asked = kubelet.asked.filter(({ url }) => url === '/stats/summary');
    assert.deepEqual(asked.at(-1)?.user, 'kube-apiserver-kubelet-client');
  });

  it('a command runs there, with its input, outputs and exit code', async () => {
    const there = new TestSession();
    kubelet.sessions.push(there);
    const query = 'command=cat&stdin=true&stdout=true&stderr=true';
    const socket = new WebSocket(
      `wss://127.0.0.1:${port}${pods}/web/exec?${query}`,
      'v5.channel.k8s.io',
      await admin(),
    );
    const parts = new Map<number, string>();
    socket.on('message', (message: Buffer) => {
      const channel = message[0] ?? 0;
      parts.set(channel, (parts.get(channel) ?? '') + message.subarray(1).toString());
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('words')]));
    socket.send(Buffer.from([255, 0]));
    let read = '';
    for await (const chunk of there.input) read += Buffer.from(chunk).toString();
    await there.output.write(Buffer.from(`read ${read}`));
    await there.errors.write(Buffer.from('wrong'));
    await there.exit(3);
    await closed;
    assert.deepEqual([parts.get(1), parts.get(2)], ['read words', 'wrong']);
    assert.match(parts.get(3) ?? '', /"message":"3"/);
    assert.equal(kubelet.asked.at(-1)?.url, '/exec/default/web/main?command=cat&input=1&output=1&error=1');
  });

  it('the node’s own paths are passed on as they are, and so is what it says of others', async () => {
    assert.deepEqual(await ask('/api/v1/nodes/theirs/proxy/healthz'), { status: 200, body: 'GET one\n' });
    assert.deepEqual(await ask('/api/v1/nodes/theirs/proxy/no/such?x=1'), { status: 404, body: 'not here' });
    assert.equal(kubelet.asked.at(-1)?.url, '/no/such?x=1');
  });

  it('a node that names no kubelet, or is not there, does not answer; and our own is not asked over the network', async () => {
    const before = kubelet.asked.length;
    for (const [name, why] of [
      ['other', /names no port/],
      ['lost', /no such Node/],
      ['own', /node ours of pod own does not answer/],
    ] as const) {
      const { status, body } = await ask(`${pods}/${name}/log`);
      assert.equal(status, 503);
      assert.match(body, why);
    }
    assert.equal(kubelet.asked.length, before);
  });
});
