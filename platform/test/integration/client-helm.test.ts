/** helm, built from its Go module: a chart of ours (test/fixtures/chart) with hooks is installed, upgraded, rolled back and uninstalled. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { ConfigMap, Service } from 'kubernetes-types/core/v1.js';
import { buildGoTool, type GoTool } from '../clients/go-tool.ts';
import { type ClientsLab, runProgram, startClientsLab } from './clients-lab.ts';

const chart = join(import.meta.dirname, '../fixtures/chart');
const deployments = { group: 'apps', version: 'v1', resource: 'deployments', namespaced: true };
const jobs = { group: 'batch', version: 'v1', resource: 'jobs', namespaced: true };

let tool: GoTool;
let lab: ClientsLab;
before(
  async () => {
    tool = await buildGoTool('helm');
    lab = await startClientsLab();
  },
  { timeout: 600_000 },
);
after(() => lab[Symbol.asyncDispose]());

async function helm(...args: string[]): Promise<string> {
  const home = join(lab.api.directory, 'helm');
  const env = { KUBECONFIG: lab.kubeconfig, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };
  const { code, output } = await runProgram(tool.path!, args, { env });
  assert.equal(code, 0, `helm ${args.join(' ')}: ${output}`);
  return output;
}

const get = <T extends KubeObject>(ref: ResourceRef, name: string): Promise<T> =>
  lab.api.client.get<T>(ref, name, 'default');
const settings = async () => (await get<ConfigMap & KubeObject>(resources.configmaps, 'shop-settings')).data;
const replicas = async () =>
  (await get<KubeObject & { spec: { replicas: number } }>(deployments, 'shop')).spec.replicas;

test('helm installs, upgrades, rolls back and uninstalls a chart with hooks', async (t) => {
  if (!tool.path) return t.skip(tool.missing);
  const wait = ['--wait', '--timeout', '120s'];
  assert.match(await helm('install', 'shop', chart, ...wait), /STATUS: deployed/);
  assert.deepEqual(await settings(), { greeting: 'hello', revision: '1' });
  const first = await get(jobs, 'shop-migrate');
  const service = await get<Service & KubeObject>(resources.services, 'shop');
  assert.match(service.spec!.clusterIP!, /^10\./);

  await helm('upgrade', 'shop', chart, '--set', 'greeting=servus,replicas=3', ...wait);
  assert.deepEqual([await settings(), await replicas()], [{ greeting: 'servus', revision: '2' }, 3]);
  assert.notEqual((await get(jobs, 'shop-migrate')).metadata?.uid, first.metadata?.uid, 'the hook ran again');
  const kept = await get<Service & KubeObject>(resources.services, 'shop');
  assert.equal(kept.spec?.clusterIP, service.spec?.clusterIP);

  await helm('rollback', 'shop', '1', ...wait);
  assert.deepEqual([(await settings())?.greeting, await replicas()], ['hello', 2]);
  assert.match(await helm('history', 'shop'), /3\s.*deployed.*Rollback to 1/);
  assert.match(await helm('list'), /^shop\s+default\s+3\s/m);
  assert.match(await helm('status', 'shop'), /STATUS: deployed/);

  await helm('uninstall', 'shop', ...wait);
  for (const [ref, name] of [
    [deployments, 'shop'],
    [resources.services, 'shop'],
    [resources.configmaps, 'shop-settings'],
  ] as const) {
    await assert.rejects(get(ref, name), (error) => isReason(error, 'NotFound'), `${name} is still there`);
  }
  const secrets = await lab.api.client.list(resources.secrets, { namespace: 'default', labelSelector: 'owner=helm' });
  assert.deepEqual(secrets.items, []);
});
