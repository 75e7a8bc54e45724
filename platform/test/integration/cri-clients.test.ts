/** The client library of kubelet and crictl, and kubectl's streaming clients, against `sampan cri`: what they do stands in test/clients/cri. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildGoTool, type GoTool } from '../clients/go-tool.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../fixtures/images/registry.ts';
import { runProgram } from './clients-lab.ts';
import { CriLab, missingForCri } from './support/cri-lab.ts';

const missing = missingForCri();
let tool: GoTool;
let lab: CriLab;
let registry: Registry;
let image: string;
let handlers: string[];

before(
  async () => {
    if (missing) return;
    tool = await buildGoTool('cri');
    if (!tool.path) return;
    registry = await startRegistry();
    image = await registry.pushImage(await buildImage('busybox'), 'cri/busybox:1');
    lab = await CriLab.open('cri-clients');
    handlers = ((await lab.client.status({})).runtimeHandlers ?? []).map(({ name }) => name ?? '');
  },
  { timeout: 600_000 },
);
after(async () => {
  await lab?.[Symbol.asyncDispose]();
  await registry?.stop();
});

const programs: Record<string, string> = {
  calls:
    'kubelet’s own CRI client finds every call as it wants it: states, exit codes, statistics, log files, events, refusals',
  pods: 'settings of Pods and containers come true: DNS, sysctls, namespaces, users, powers, signals; what a VM cannot keep is refused by name',
  streaming: 'exec, terminals, attach and port-forward work over SPDY and WebSocket with client-go',
};

for (const handler of ['vm', 'namespace'])
  for (const [name, sentence] of Object.entries(programs)) {
    test(`${handler}: ${sentence}`, { skip: missing }, async (t) => {
      if (!tool.path) return t.skip(tool.missing);
      if (!handlers.includes(handler)) return t.skip(`this host does not offer the runtime handler "${handler}"`);
      const args = [lab.socketPath, image, lab.logDirectory(`${handler}-${name}`), name, handler];
      const { code, output } = await runProgram(tool.path, args, { timeoutMs: 85_000 });
      assert.equal(code, 0, output);
    });
  }
