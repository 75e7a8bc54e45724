/** docs/SETTINGS.md names every variable of the environment that the programs read, and no other. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
/** Between our own programs and their tests: nobody sets them by hand. */
const internal = new Set([
  'SAMPAN_GUEST_DIR',
  'SAMPAN_HOST_DIR',
  'SAMPAN_ROOT',
  'SAMPAN_CRI_SOCKET',
  'SAMPAN_FAILPOINTS',
  'SAMPAN_CLIENTS_BY',
]);

const namesIn = (text: string) => text.match(/SAMPAN_[A-Z_]*[A-Z]/g) ?? [];

test('every setting is in the table, and the table has no other', () => {
  const sources = globSync('{platform,cli}/src/**/*.ts', { cwd: root }).filter((path) => !path.endsWith('.test.ts'));
  const read = new Set(sources.flatMap((path) => namesIn(readFileSync(join(root, path), 'utf8'))));
  const told = new Set(namesIn(readFileSync(join(root, 'docs/SETTINGS.md'), 'utf8')));
  assert.deepEqual([...told].sort(), [...read].filter((name) => !internal.has(name)).sort());
});
