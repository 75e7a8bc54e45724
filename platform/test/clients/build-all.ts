/**
 * `npm run test-clients`: builds every client of go-tool.ts that is not in the cache yet. A whole run of `sampan test` does so beside its unit tests, which
 * leave half of a small machine idle; the tests that need a client then find it, or wait for it.
 */
import { buildGoTool, goToolNames } from './go-tool.ts';

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(128));
for (const name of goToolNames) {
  const { missing } = await buildGoTool(name);
  if (missing) console.error(missing);
}
