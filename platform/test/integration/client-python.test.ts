/** The official Python client, as Debian packages it (python3-kubernetes). What it does stands in test/clients/python. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram, startClientsLab } from './clients-lab.ts';

const python = '/usr/bin/python3';
const script = join(import.meta.dirname, '../clients/python/client_test.py');
const expected = 7;

test('the Python client: objects, pages, patches, watches, dynamic kinds', async (t) => {
  const probe = await runProgram(python, ['-c', 'import kubernetes']).catch(() => ({ code: -1 }));
  if (probe.code !== 0) return t.skip("Debian's python3-kubernetes is not installed");
  await using lab = await startClientsLab();
  const { code, output } = await runProgram(python, [script, '-v'], {
    env: { KUBECONFIG: lab.kubeconfig, PYTHONDONTWRITEBYTECODE: '1' },
  });
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`Ran ${expected} tests`));
});
