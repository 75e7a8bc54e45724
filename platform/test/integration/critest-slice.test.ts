/** A few specs of the unmodified critest that are listed as passed: `npm run critest` runs them all. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { binaryOf } from '../../../tools/critest/go-programs.ts';
import { readResults } from '../../../tools/critest/results.ts';
import { command } from './support/command.ts';
import { missingForCri } from './support/cri-lab.ts';

const root = join(import.meta.dirname, '../../..');
const unbuilt = !existsSync(binaryOf('critest')) && 'critest is not built: npm run critest builds it, in some minutes';
const names = [
  'runtime should support portforward',
  'runtime should support stopping PodSandbox',
  'support execSync with timeout',
];

it('specs of critest that are listed as passed pass', { skip: missingForCri() ?? unbuilt }, async () => {
  for (const specs of Object.values(await readResults()))
    for (const name of names) {
      const listed = Object.entries(specs).find(([each]) => each.includes(`${name} [Conformance]`));
      assert.equal(listed?.[1].outcome, 'passed', name);
    }
  const script = ['--disable-warning=ExperimentalWarning', join(root, 'tools/critest/run.ts')];
  const focus = names.map((name) => `--focus=${name} .Conformance.`);
  const { code, stdout, stderr } = await command(process.execPath, [...script, '--check', ...focus], {
    timeoutMs: 180_000,
  });
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /vm: 3 of 3 passed[\s\S]*namespace: 3 of 3 passed/);
});
