/** client-go, with which controllers and operators are written: what it does stands in test/clients/go. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildGoTool, type GoTool } from '../clients/go-tool.ts';
import { type ClientsLab, runProgram, startClientsLab } from './clients-lab.ts';

let tool: GoTool;
let lab: ClientsLab;
before(
  async () => {
    tool = await buildGoTool('go');
    lab = await startClientsLab();
  },
  { timeout: 600_000 },
);
after(() => lab[Symbol.asyncDispose]());

const programs: Record<string, string> = {
  informers: 'shared informers keep a true copy and tell what happened in order',
  election: 'leader election by Lease: one leads, and the next when it steps down',
  apply: 'server-side apply: ownership, conflict, force, and removal of what is named no more',
  dynamic: 'discovery, dynamic objects and metadata-only reads',
};

for (const [name, sentence] of Object.entries(programs)) {
  test(sentence, async (t) => {
    if (!tool.path) return t.skip(tool.missing);
    const { code, output } = await runProgram(tool.path, [name], { env: { KUBECONFIG: lab.kubeconfig } });
    assert.equal(code, 0, output);
  });
}
