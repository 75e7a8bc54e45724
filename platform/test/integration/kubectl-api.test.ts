/** Every kubectl of this machine from 1.27 to 1.33 against the API over TLS. No node runs here, so Pods stay Pending. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { startTestApi, type TestApi, type TestPod } from './api-test-server.ts';
import { findKubectls, type KubectlOptions, type KubectlResult, runKubectl } from './kubectl-server.ts';

const kubectls = findKubectls();
if (kubectls.length === 0) {
  test('kubectl', (t) => t.skip('no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...'));
}

let api: TestApi;
let kubeconfig: string;
before(async () => {
  api = await startTestApi();
  ({ kubeconfig } = await api.listen());
});
after(() => api[Symbol.asyncDispose]());

const manifest = (image: string, extra = '') => `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: web, image: "${image}"${extra}}
  - {name: side, image: "registry.example/side:1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
`;

for (const kubectl of kubectls) {
  describe(`kubectl ${kubectl.version}`, () => {
    const namespace = `k${kubectl.version.replace('.', '-')}`;

    async function run(args: string[], options: Partial<KubectlOptions> = {}): Promise<KubectlResult> {
      return runKubectl(kubectl, ['-n', namespace, ...args], { kubeconfig, home: api.directory, ...options });
    }

    /** What it printed; fails when it failed. */
    async function ok(args: string[], options: Partial<KubectlOptions> = {}): Promise<string> {
      const { code, stdout, stderr } = await run(args, options);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    }

    async function fails(args: string[], message: RegExp, options: Partial<KubectlOptions> = {}): Promise<void> {
      const { code, stderr } = await run(args, options);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    }

    before(async () => {
      const { code, stderr } = await runKubectl(kubectl, ['create', 'namespace', namespace], {
        kubeconfig,
        home: api.directory,
      });
      assert.equal(code, 0, stderr);
      await ok(['create', 'serviceaccount', 'default']);
      await ok(['apply', '-f', '-'], { input: manifest('registry.example/web:1') });
    });

    test('finds its way: version, api-resources, api-versions, explain, cluster health', async () => {
      assert.match(await ok(['version']), /Server Version: .*v1\.33\.\d+\+sampan\.0\.0\.0/);
      const listed = await ok(['api-resources', '-o', 'wide']);
      assert.match(
        listed,
        /^pods +po +v1 +true +Pod +create,delete,deletecollection,get,list,patch,update,watch +all/m,
      );
      assert.match(await ok(['api-versions']), /^coordination\.k8s\.io\/v1$/m);
      assert.match(await ok(['explain', 'pod.spec.containers.image']), /FIELD: image <string>/);
      assert.equal(await ok(['get', '--raw', '/readyz']), 'ok');
    });

    test('explains what can only be posted, whole and field by field', async () => {
      const reviews = (await ok(['api-resources', '--verbs=create', '-o', 'name'])).trim().split('\n');
      const listed = new Set((await ok(['api-resources', '--verbs=list', '-o', 'name'])).trim().split('\n'));
      const posted = reviews.filter((name) => !listed.has(name));
      assert.ok(posted.includes('selfsubjectaccessreviews.authorization.k8s.io'), `${posted}`);
      for (const name of posted) assert.match(await ok(['explain', name]), /^KIND: +\w+$/m);
      assert.match(
        await ok(['explain', 'selfsubjectaccessreviews.spec.resourceAttributes.verb']),
        /FIELD: verb <string>.*verb is a kubernetes/s,
      );
      assert.match(await ok(['explain', 'tokenreviews', '--recursive']), /audiences\t<\[\]string>/);
    });

    test('apply creates, changes and sees that nothing changed', async () => {
      const same = await ok(['apply', '-f', '-'], { input: manifest('registry.example/web:1') });
      assert.match(same, /pod\/web unchanged\nconfigmap\/settings unchanged/);
      const changed = await ok(['apply', '-f', '-'], { input: manifest('registry.example/web:2') });
      assert.match(changed, /pod\/web configured/);
      assert.equal(
        await ok(['get', 'pod', 'web', '-o', 'jsonpath={.spec.containers[0].image}']),
        'registry.example/web:2',
      );
      const dry = await ok(['apply', '--dry-run=server', '-f', '-'], { input: manifest('registry.example/web:3') });
      assert.match(dry, /pod\/web configured \(server dry run\)/);
      assert.equal(
        await ok(['get', 'pod', 'web', '-o', 'jsonpath={.spec.containers[0].image}']),
        'registry.example/web:2',
      );
    });

    test('apply prunes what is no longer there, by label and by set', async () => {
      const map = (name: string) =>
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name, labels: { pruned: 'yes' } },
        });
      const byLabel = ['apply', '--prune', '-l', 'pruned=yes', '--prune-allowlist=core/v1/ConfigMap', '-f', '-'];
      await ok(byLabel, { input: map('first') });
      assert.match(await ok(byLabel, { input: map('second') }), /configmap\/second created\nconfigmap\/first pruned/);
      const bySet = ['apply', '--server-side', '--prune', '--applyset=one', '-f', '-'];
      const env = { KUBECTL_APPLYSET: 'true' };
      await ok(bySet, { input: map('third'), env });
      assert.match(await ok(bySet, { input: map('fourth'), env }), /configmap\/third pruned/);
      const left = await ok(['get', 'configmap', '-l', 'pruned=yes', '-o', 'name']);
      assert.equal(left, 'configmap/fourth\nconfigmap/second\n');
      await ok(['delete', 'configmap', '-l', 'pruned=yes']);
    });

    test('a misspelt field is refused with its path, and only told when asked so', async () => {
      const input = manifest('registry.example/web:1', ', imagee: x').replace('name: web,', 'name: typo,');
      await fails(['create', '-f', '-'], /unknown field "spec\.containers\[0\]\.imagee"/, { input });
      const { code, stderr } = await run(['create', '--validate=warn', '-f', '-'], { input });
      assert.match(stderr, /Warning: unknown field "spec\.containers\[0\]\.imagee"/);
      assert.match(stderr, /configmaps "settings" already exists/);
      assert.equal(code, 1);
      await ok(['delete', 'pod', 'typo']);
    });

    test('get shows tables, wide and narrow, YAML, JSON and what a path picks', async () => {
      assert.match(await ok(['get', 'pods']), /^NAME +READY +STATUS +RESTARTS +AGE\nweb +0\/2 +Pending +0 +\d+s\n$/);
      assert.match(
        await ok(['get', 'po', '-o', 'wide']),
        /^NAME +READY .* IP +NODE +NOMINATED NODE +READINESS GATES\n/,
      );
      assert.match(await ok(['get', 'pod', 'web', '-o', 'yaml']), /^kind: Pod$/m);
      assert.equal(JSON.parse(await ok(['get', 'pod/web', '-o', 'json'])).metadata.name, 'web');
      assert.match(await ok(['get', 'pods,cm', '-l', 'app=web', '--show-labels']), /pod\/web .* app=web\n/);
      assert.match(await ok(['get', 'all']), /^pod\/web +0\/2/m);
      assert.equal((await ok(['get', 'pods', '--field-selector', 'status.phase=Running', '-o', 'name'])).trim(), '');
      assert.match(
        await ok(['get', 'pods', '-A', '--sort-by=.metadata.name', '--no-headers']),
        new RegExp(`^${namespace} +web`, 'm'),
      );
      await fails(['get', 'pod', 'none'], /Error from server \(NotFound\): pods "none" not found/);
      await fails(['get', 'gadgets'], /the server doesn't have a resource type "gadgets"/);
    });

    test('get --watch tells of changes while they happen', async () => {
      const began = Promise.withResolvers<void>();
      const watching = run(['get', 'configmap', '-w', '--output-watch-events'], {
        until: (stdout) => {
          if (stdout.includes('ADDED')) began.resolve();
          return stdout.includes('DELETED');
        },
      });
      await Promise.race([began.promise, watching]);
      await ok(['create', 'configmap', 'watched', '--from-literal=a=b']);
      await ok(['label', 'configmap', 'watched', 'x=y']);
      await ok(['delete', 'configmap', 'watched']);
      const { stdout } = await watching;
      assert.match(stdout, /^EVENT +NAME +DATA +AGE\nADDED/);
      assert.match(stdout, /ADDED +watched +1 .*\nMODIFIED +watched +1 .*\nDELETED +watched +1/);
    });

    test('create makes the kinds it has words for, through whatever encoding it speaks', async () => {
      await ok(['create', 'secret', 'generic', 'password', '--from-literal=p=s3cret']);
      assert.equal(await ok(['get', 'secret', 'password', '-o', 'jsonpath={.data.p}']), 'czNjcmV0');
      await ok(['create', 'configmap', 'multi', '--from-literal=a=1', '--from-literal=b=']);
      assert.equal(await ok(['get', 'configmap', 'multi', '-o', 'jsonpath={.data}']), '{"a":"1","b":""}');
      const token = await ok(['create', 'token', 'default', '--duration=20m']);
      assert.equal(token.trim().split('.').length, 3);
      await fails(['create', 'configmap', 'multi'], /configmaps "multi" already exists/);
      await ok(['run', 'once', '--image=registry.example/once:1', '--restart=Never', '--env=A=B']);
      assert.match(await ok(['get', 'pod', 'once', '-o', 'jsonpath={.spec.restartPolicy}']), /Never/);
      await fails(['run', 'Bad', '--image=x'], /Invalid value: "Bad"/);
      await ok(['delete', 'pod', 'once', '--now']);
    });

    test('label, annotate, patch and set image change what is there', async () => {
      await ok(['label', 'pod', 'web', 'tier=front']);
      await fails(['label', 'pod', 'web', 'tier=back'], /already has a value/);
      await ok(['label', 'pod', 'web', 'tier=back', '--overwrite']);
      await ok(['annotate', 'pod', 'web', 'note=hello']);
      assert.match(
        await ok(['get', 'pod', 'web', '-o', 'jsonpath={.metadata.labels.tier}-{.metadata.annotations.note}']),
        /^back-hello$/,
      );
      await ok(['label', 'pod', 'web', 'tier-']);
      await ok(['patch', 'configmap', 'settings', '-p', '{"data":{"size":"xl"}}']);
      await ok(['patch', 'configmap', 'settings', '--type=json', '-p', '[{"op":"remove","path":"/data/size"}]']);
      await ok(['patch', 'configmap', 'settings', '--type=merge', '-p', '{"data":{"shape":"round"}}']);
      assert.equal(
        await ok(['get', 'configmap', 'settings', '-o', 'jsonpath={.data}']),
        '{"color":"blue","shape":"round"}',
      );
      await ok(['set', 'image', 'pod/web', 'side=registry.example/side:2']);
      await fails(
        ['patch', 'pod', 'web', '-p', '{"spec":{"nodeName":"other"}}'],
        /Forbidden: pod updates may not change fields other than/,
      );
    });

    test('edit writes what the editor left, and says what was wrong with it', async () => {
      const editor = join(api.directory, `editor-${namespace}`);
      await writeFile(editor, '#!/bin/sh\nsed -i "s/color: .*/color: green/" "$1"\n', { mode: 0o755 });
      await ok(['edit', 'configmap', 'settings'], { env: { EDITOR: editor } });
      assert.equal(await ok(['get', 'configmap', 'settings', '-o', 'jsonpath={.data.color}']), 'green');
    });

    test('describe shows a Pod with its events, and events lists them', async () => {
      const pod = await api.client.get<TestPod>(resources.pods, 'web', namespace);
      await api.client.create(resources.events, {
        metadata: { name: 'web.1', namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace, uid: pod.metadata?.uid },
        type: 'Warning',
        reason: 'FailedScheduling',
        message: 'no node is there',
        source: { component: 'test' },
        count: 1,
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
      } as KubeObject);
      const described = await ok(['describe', 'pod', 'web']);
      assert.match(described, /^Status: +Pending$/m);
      assert.match(described, /Warning +FailedScheduling +.* +test +no node is there/);
      assert.match(await ok(['events', '--for', 'pod/web']), /Warning +FailedScheduling +Pod\/web +no node is there/);
      assert.match(await ok(['get', 'events']), /FailedScheduling/);
      assert.match(await ok(['describe', 'namespace', namespace]), /Status: +Active/);
      assert.match(await ok(['describe', 'configmap', 'settings']), /color/);
    });

    test('wait returns when the condition holds, and when the Pod is gone', async () => {
      const pod = await api.client.get<TestPod>(resources.pods, 'web', namespace);
      const waiting = ok(['wait', '--for=condition=Ready', 'pod/web', '--timeout=60s']);
      const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
      await api.client.update(
        resources.pods,
        { ...pod, status: { ...pod.status, conditions: [ready] } },
        { subresource: 'status' },
      );
      assert.match(await waiting, /pod\/web condition met/);
      await ok(['run', 'short', '--image=registry.example/x:1']);
      const ending = ok(['wait', '--for=delete', 'pod/short', '--timeout=60s']);
      await ok(['delete', 'pod', 'short', '--wait=false']);
      await ending;
      await fails(['wait', '--for=condition=Ready', 'pod/web2', '--timeout=1s'], /pods "web2" not found/);
    });

    test('auth asks what is allowed, for itself and for others', async () => {
      assert.equal((await ok(['auth', 'can-i', 'create', 'pods'])).trim(), 'yes');
      assert.match(await ok(['auth', 'can-i', '--list']), /\*\.\*/);
      if (kubectl.version !== '1.27') assert.match(await ok(['auth', 'whoami']), /Username +admin/);
      const token = (await ok(['create', 'token', 'default'])).trim();
      const { code, stdout } = await runKubectl(
        kubectl,
        ['auth', 'can-i', 'list', 'pods', '--token', token, '-n', namespace],
        {
          kubeconfig: await withoutUser(),
          home: api.directory,
        },
      );
      assert.deepEqual([code, stdout.trim()], [1, 'no']);
    });

    test('debug adds a container to a Pod, and copies Pods', async () => {
      await ok(['debug', 'web', '--image=registry.example/debug:1', '--container=look', '--target=web', '--', 'sh']);
      const path = 'jsonpath={.spec.ephemeralContainers[0].name}';
      assert.equal(await ok(['get', 'pod', 'web', '-o', path]), 'look');
      await ok(['debug', 'web', '--copy-to=copy', '--image=registry.example/debug:1', '--container=extra', '--', 'sh']);
      const names = await ok(['get', 'pod', 'copy', '-o', 'jsonpath={.spec.containers[*].name}']);
      assert.deepEqual(names.split(' ').sort(), ['extra', 'side', 'web']);
      await ok(['delete', 'pod', 'copy']);
    });

    test('cordon and drain empty a node', async () => {
      const node = `node-${namespace}`;
      await api.client.create(resources.nodes, { metadata: { name: node } });
      await ok(['run', 'guest', '--image=registry.example/x:1', '--overrides', `{"spec":{"nodeName":"${node}"}}`]);
      await ok(['cordon', node]);
      assert.match(await ok(['get', 'node', node]), /SchedulingDisabled/);
      const draining = ok(['drain', node, '--force', '--timeout=60s']);
      await ok(['wait', 'pod/guest', '--for=jsonpath={.metadata.deletionGracePeriodSeconds}=30', '--timeout=60s']);
      // What a node does when the Pod has ended.
      await api.client.delete(resources.pods, 'guest', { namespace, gracePeriodSeconds: 0 });
      assert.match(await draining, /drained/);
    });

    test('replace, diff and delete work on files', async () => {
      const { code, stdout } = await run(['diff', '-f', '-'], { input: manifest('registry.example/web:9') });
      assert.equal(code, 1);
      assert.match(stdout, /\+ +(- )?image: registry\.example\/web:9/);
      const input = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {only: this}\n';
      await ok(['replace', '-f', '-'], { input });
      assert.equal(await ok(['get', 'configmap', 'settings', '-o', 'jsonpath={.data}']), '{"only":"this"}');
      assert.match(await ok(['delete', '-f', '-'], { input: manifest('x') }), /pod "web" (force )?deleted/);
      assert.equal((await ok(['get', 'pods', '-o', 'name'])).trim(), '');
    });
  });
}

/** The admin's kubeconfig without his certificate, so that a token counts. */
async function withoutUser(): Promise<string> {
  const path = join(api.directory, 'token.kubeconfig');
  const { parse, stringify } = await import('yaml');
  const { readFile } = await import('node:fs/promises');
  const config = parse(await readFile(kubeconfig, 'utf8'));
  config.users[0].user = {};
  await writeFile(path, stringify(config));
  return path;
}
