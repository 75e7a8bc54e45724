/** Custom kinds by the oldest and the newest kubectl we promise, on a server of their own each. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cronTabs } from '@sampan/api/custom/custom-fixtures.ts';
import { startTestApi, type TestApi } from './api-test-server.ts';
import { findKubectls, type KubectlOptions, runKubectl } from './kubectl-server.ts';

const all = findKubectls();
const kubectls = all.length > 1 ? [all[0]!, all.at(-1)!] : all;
if (kubectls.length === 0) {
  test('kubectl', (t) => t.skip('no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...'));
}

const manifest = (name: string, spec: object) =>
  JSON.stringify({
    apiVersion: 'stable.example.com/v1',
    kind: 'CronTab',
    metadata: { name },
    spec: { cronSpec: '*/5 * * * *', ...spec },
  });

for (const kubectl of kubectls) {
  describe(`kubectl ${kubectl.version}`, () => {
    let api: TestApi;
    let kubeconfig: string;

    before(async () => {
      api = await startTestApi();
      ({ kubeconfig } = await api.listen());
      await ok(['create', '-f', '-'], { input: JSON.stringify(cronTabs()) });
      await ok(['wait', '--for', 'condition=established', 'crd/crontabs.stable.example.com', '--timeout=60s']);
    });
    after(() => api[Symbol.asyncDispose]());

    const run = (args: string[], options: Partial<KubectlOptions> = {}) =>
      runKubectl(kubectl, args, { kubeconfig, home: api.directory, ...options });

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

    test('applies, gets and applies again, with defaults filled in', async () => {
      assert.match(await ok(['apply', '-f', '-'], { input: manifest('one', { image: 'a' }) }), /crontab.*one created/);
      assert.match(await ok(['apply', '-f', '-'], { input: manifest('one', { image: 'b' }) }), /one configured/);
      assert.match(await ok(['apply', '-f', '-'], { input: manifest('one', { image: 'b' }) }), /one unchanged/);
      const found = JSON.parse(await ok(['get', 'crontab', 'one', '-o', 'json']));
      assert.deepEqual([found.spec.image, found.spec.replicas], ['b', 1]);
      await ok(['apply', '--server-side', '--field-manager=other', '-f', '-'], { input: manifest('side', {}) });
    });

    test('shows the printer columns, by short name, singular and category', async () => {
      await ok(['apply', '-f', '-'], { input: manifest('shown', {}) });
      const [head, ...rows] = (await ok(['get', 'ct'])).trim().split('\n');
      assert.match(head ?? '', /^NAME +SPEC +REPLICAS +AGE$/);
      assert.ok(
        rows.some((row) => /^shown +\*\/5 \* \* \* \* +1 +\d+s$/.test(row)),
        rows.join('\n'),
      );
      assert.match(await ok(['get', 'crontab', 'shown', '-o', 'name']), /crontab.stable.example.com\/shown/);
      assert.match(await ok(['get', 'all']), /crontab.stable.example.com\/shown/);
      assert.match(await ok(['describe', 'crontab', 'shown']), /Cron Spec: +\*\/5/);
      assert.match(
        await ok(['api-resources', '--api-group=stable.example.com']),
        /crontabs +ct +stable.example.com\/v1 +true +CronTab/,
      );
    });

    test('explains the kind and its fields', async () => {
      assert.match(await ok(['explain', 'crontab']), /A job in a table\./);
      const field = await ok(['explain', 'ct.spec.cronSpec']);
      assert.match(field, /When it runs\./);
      assert.match(field, /string/);
    });

    test('is told what it got wrong', async () => {
      await fails(['apply', '-f', '-'], /unknown field "spec.imagee"/, { input: manifest('bad', { imagee: 'x' }) });
      await fails(['apply', '-f', '-'], /spec.replicas in body should be less than or equal to 10/, {
        input: manifest('bad', { replicas: 11 }),
      });
      await fails(['apply', '-f', '-'], /spec.mode: Unsupported value: "x": supported values: "slow", "fast"/, {
        input: manifest('bad', { mode: 'x' }),
      });
      const pruned = await run(['apply', '--validate=ignore', '-f', '-'], {
        input: manifest('pruned', { imagee: 'x' }),
      });
      assert.equal(pruned.code, 0, pruned.stderr);
      assert.equal(JSON.parse(await ok(['get', 'ct', 'pruned', '-o', 'json'])).spec.imagee, undefined);
    });

    test('patches, scales, labels, edits the status and waits for it', async () => {
      await ok(['apply', '-f', '-'], { input: manifest('changed', {}) });
      await ok(['patch', 'ct', 'changed', '--type=merge', '-p', '{"spec":{"mode":"fast"}}']);
      await ok(['patch', 'ct', 'changed', '--type=json', '-p', '[{"op":"add","path":"/spec/note","value":null}]']);
      await fails(['patch', 'ct', 'changed', '-p', '{"spec":{}}'], /UnsupportedMediaType|not supported|unknown format/);
      await ok(['scale', 'ct/changed', '--replicas=5']);
      assert.match(
        await ok(['get', 'ct/changed', '--subresource=scale']),
        /^NAME +DESIRED +AVAILABLE +AGE\nchanged +5 +\d+ +\d+s\n$/,
      );
      await ok(['label', 'ct', 'changed', 'tier=front']);
      await ok([
        'patch',
        'ct',
        'changed',
        '--subresource=status',
        '--type=merge',
        '-p',
        '{"status":{"phase":"Ready"}}',
      ]);
      await ok(['wait', '--for=jsonpath={.status.phase}=Ready', 'ct/changed', '--timeout=60s']);
      const { spec, metadata } = JSON.parse(await ok(['get', 'ct', '-l', 'tier=front', '-o', 'json'])).items[0];
      assert.deepEqual([spec.mode, spec.replicas, spec.note], ['fast', 5, null]);
      assert.equal(metadata.generation, 4);
    });

    test('deletes objects, and the definition with what is left', async () => {
      await ok(['apply', '-f', '-'], { input: manifest('left', {}) });
      await ok(['delete', 'ct', 'left']);
      await fails(['get', 'ct', 'left'], /NotFound/);
      await ok(['delete', 'crd', 'crontabs.stable.example.com', '--timeout=60s']);
      await fails(['get', 'crontabs'], /the server doesn't have a resource type|could not find the requested resource/);
    });
  });
}
