/** A few of Kubernetes' own tests on real machines: that what `npm run conformance` stands on works. All of them take over an hour. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { openCluster } from '../../../tools/conformance/clusters.ts';
import { runE2e } from '../../../tools/conformance/e2e.ts';
import { binaryOf } from '../../../tools/conformance/go-programs.ts';
import { readResults } from '../../../tools/conformance/results.ts';

const needed = (['e2e', 'agnhost', 'nonewprivs'] as const).map(binaryOf);
const missing = needed.filter((path) => !existsSync(path));
const skip =
  missing.length > 0 ? `${missing[0]} is not built: npm run conformance builds it, in several minutes` : false;

it('tests of Kubernetes that are listed as passed pass', { skip }, async () => {
  const names = [
    '[sig-node] Pods should get a host IP [NodeConformance] [Conformance]',
    "[sig-node] Containers should be able to override the image's default command and arguments [NodeConformance] [Conformance]",
    '[sig-storage] ConfigMap should be consumable from pods in volume as non-root [NodeConformance] [Conformance]',
  ];
  const known = await readResults();
  for (const name of names) assert.equal(known[name]?.outcome, 'passed', `${name} is not listed as passed`);
  const directory = await mkdtemp(join(tmpdir(), 'sampan-conformance-'));
  try {
    await using cluster = await openCluster.machines();
    const outcomes = await runE2e({
      binary: needed[0]!,
      kubeconfig: cluster.kubeconfig,
      names,
      minutes: 3,
      parallel: 1,
      directory,
    });
    assert.deepEqual(
      outcomes.filter(({ passed }) => !passed),
      [],
    );
    assert.deepEqual(outcomes.map(({ name }) => name).sort(), [...names].sort());
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
