/** From one container to the next: a filter that crun compiled is asked of the first one before it starts, and given along with the second. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../base/log.ts';
import { FakeNetwork } from '../../network/fake/fake-network.ts';
import { FakeHost } from '../../vmm/fake/fake-host.ts';
import { FakeVmm } from '../../vmm/fake/fake-vmm.ts';
import type { ConnectAgent } from '../agent/agent.ts';
import { FakeAgents } from '../agent/fake-agent.ts';
import { createBundleRuntime } from './create-bundle-runtime.ts';
import { parseOciConfig } from './oci-config.ts';

const seccomp = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] };
const config = parseOciConfig(
  JSON.stringify({
    ociVersion: '1.0.2',
    process: { args: ['sleep'], cwd: '/' },
    root: { path: 'r' },
    linux: { namespaces: ['pid', 'mount', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })), seccomp },
  }),
);

/** The filters that containers of these sandboxes, made and started one after another, are created with. */
async function filtersGiven(handlers: ('vm' | 'namespace')[]): Promise<(string | undefined)[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bundles-'));
  const agents = new FakeAgents();
  const given: (string | undefined)[] = [];
  const connectAgent: ConnectAgent = async (options) => {
    const agent = await agents.connect(options);
    const createContainer = agent.createContainer.bind(agent);
    agent.createContainer = (request) => {
      given.push(request.filter);
      return createContainer(request);
    };
    return agent;
  };
  const network = new FakeNetwork();
  await network.start();
  const runtime = createBundleRuntime({
    vmms: { vm: new FakeVmm(new FakeHost()), namespace: new FakeVmm(new FakeHost()) },
    ...{ network, connectAgent, run: directory, log: silentLogger },
    mounts: {
      prepare: async (share) => void (await mkdir(share, { recursive: true })),
      bind: async () => {},
      release: async () => {},
    },
  });
  await runtime.recover();
  for (const [index, handler] of handlers.entries()) {
    const id = `c${index}`;
    await runtime.createSandbox({ id, handler, hostname: id, annotations: {}, network: 'none' });
    await runtime.createContainer({ id, sandboxId: id, bundle: '/b', config, rootfs: '/r', stdio: {}, tty: false });
    await runtime.start(id);
    await runtime.delete(id, { force: true, withSandbox: true });
  }
  await runtime.close();
  await rm(directory, { recursive: true, force: true });
  return given;
}

test('the second container on the host gets what the first one compiled, and so does one in a VM', async () => {
  const [first, second, third] = await filtersGiven(['namespace', 'namespace', 'vm']);
  assert.equal(first, undefined);
  assert.match(Buffer.from(second ?? '', 'base64').toString(), /SCMP_ACT_ERRNO/);
  assert.equal(third, second);
});

test('what a guest compiled is not given to another', async () => {
  assert.deepEqual(await filtersGiven(['vm', 'vm', 'namespace']), [undefined, undefined, undefined]);
});
