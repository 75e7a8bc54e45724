/** What users do to a Pod on a kubelet that is not ours, by way of our API server: kubectl of the oldest and the newest version there is (SPDY and WebSocket). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { kubectlBinary, kubectlVersions, type TestInstance } from './instance.ts';
import { until } from './wait.ts';

/** The Pod's container runs a web server on port 80 whose page says "page". */
export async function throughApi(instance: TestInstance, pod: string): Promise<void> {
  const raw = (path: string) => instance.kubectl(['get', '--raw', path]);
  assert.equal((await raw('/api/v1/nodes/kubelet/proxy/healthz')).stdout, 'ok');
  assert.equal((await raw(`/api/v1/namespaces/default/pods/${pod}/proxy/`)).stdout, 'page\n');
  await measured(instance, pod);
  const versions = [...new Set([kubectlVersions.at(0), kubectlVersions.at(-1)])].filter((one) => one !== undefined);
  for (const version of versions) {
    const kubectl = (args: string[], input?: string) =>
      instance.kubectl(args, { version, timeoutMs: 30_000, ...(input === undefined ? {} : { input }) });
    const log = await kubectl(['logs', pod]);
    assert.match(log.stdout, /^started$/m, `${version}: ${log.stderr}`);
    assert.equal((await kubectl(['logs', pod, '--tail=1'])).stdout.split('\n').length, 2);
    const none = await kubectl(['logs', pod, '--previous']);
    assert.match(none.stderr, /previous terminated container .* not found/);
    const cat = await kubectl(['exec', '-i', pod, '--', 'sh', '-c', 'cat; echo wrong >&2; exit 7'], 'some words');
    assert.deepEqual([cat.stdout, cat.code], ['some words', 7], `${version}: ${cat.stderr}`);
    assert.match(cat.stderr, /^wrong$/m);
    await attached(instance, version, pod);
    await forwarded(instance, version, pod);
  }
}

/** Two nodes are there: the instance's own, and the kubelet. */
async function measured(instance: TestInstance, pod: string): Promise<void> {
  // A kubelet has rates ten seconds after a container's start.
  await until('figures of both nodes and of the Pod', async () => {
    const nodes = (await instance.kubectl(['top', 'node', '--no-headers'])).stdout.trim().split('\n');
    const ofPod = await instance.kubectl(['top', 'pod', pod, '--no-headers']);
    return nodes.length === 2 && /^\S+ +\d+m +[1-9]\d*Mi *$/m.test(ofPod.stdout);
  });
}

/** Says something on the container's output until whoever is attached has seen it. */
async function attached(instance: TestInstance, version: string, pod: string): Promise<void> {
  const child = spawn(kubectlBinary(version)!, ['--kubeconfig', instance.kubeconfig, 'attach', pod]);
  const ended = new Promise((resolve) => child.once('close', resolve));
  let seen = '';
  child.stdout.on('data', (chunk) => {
    seen += chunk;
  });
  try {
    await until(`${version}: an attached client sees the output`, async () => {
      await instance.kubectl(['exec', pod, '--', 'sh', '-c', `echo attached to ${version} >/proc/1/fd/1`], { version });
      return seen.includes(`attached to ${version}`);
    });
  } finally {
    child.kill();
    await ended;
  }
}

async function forwarded(instance: TestInstance, version: string, pod: string): Promise<void> {
  const arguments_ = ['--kubeconfig', instance.kubeconfig, 'port-forward', `pod/${pod}`, ':80'];
  const child = spawn(kubectlBinary(version)!, arguments_);
  const ended = new Promise((resolve) => child.once('close', resolve));
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  try {
    const port = await until(
      `${version}: a forwarded port`,
      async () => /127\.0\.0\.1:(\d+) ->/.exec(said)?.[1],
      20_000,
    );
    for (const _ of [1, 2]) assert.match(await ask(Number(port)), /200 OK[\s\S]*page/);
  } finally {
    child.kill();
    await ended;
  }
}

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}
