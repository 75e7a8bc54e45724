/** A few specs of the unmodified critest through containerd's CRI plugin that are listed as passed: `npm run critest-containerd` runs them all. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { binaryOf } from '../../../tools/critest/go-programs.ts';
import { readResultsOf } from '../../../tools/critest/results.ts';
import { command } from './support/command.ts';
import { buildContainerd2 } from './support/containerd-2.ts';
import { missingForCri } from './support/cri-lab.ts';

const root = join(import.meta.dirname, '../../..');
const unbuilt = !existsSync(binaryOf('critest')) && 'critest is not built: npm run critest builds it, in some minutes';
const names = [
  'runtime should support stopping PodSandbox',
  'runtime should support execSync with timeout',
  'runtime should support portforward',
];

for (const setup of ['containerd 1.6, sampan', 'containerd 1.6, sampan-namespace', 'containerd 2, sampan-pod'])
  it(`specs of critest that are listed as passed through ${setup} pass`, { timeout: 590_000 }, async (t) => {
    const missing = missingForCri() || unbuilt || (setup.includes(' 2,') && (await buildContainerd2()).missing);
    if (missing) return t.skip(missing);
    const listed = (await readResultsOf<string>(join(root, 'tools/critest/containerd-results.json')))[setup] ?? {};
    for (const name of names)
      assert.ok(
        Object.entries(listed).some(([spec, { outcome }]) => spec.includes(`${name} [`) && outcome === 'passed'),
        name,
      );
    const script = ['--disable-warning=ExperimentalWarning', join(root, 'tools/critest/containerd.ts')];
    const focus = names.map((name) => `--focus=${name} .Conformance.`);
    const { code, stdout, stderr } = await command(
      process.execPath,
      [...script, '--check', '--through', setup, ...focus],
      { timeoutMs: 180_000 },
    );
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /: 3 of 3 passed/);
  });
