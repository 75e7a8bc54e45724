/** A child of crash.test.ts: writes as fast as it can, and says on stdout which writes were acknowledged, until it is killed. */
import { writeSync } from 'node:fs';
import { silentLogger } from '../../base/log.ts';
import { openSqliteStore } from './sqlite-store.ts';

const [file, generation] = process.argv.slice(2);
const store = await openSqliteStore({ file: file!, log: silentLogger });
const value = new Uint8Array(2000).fill(65);

async function writer(lane: number): Promise<void> {
  for (let i = 0; ; i++) {
    const key = `/g${generation}/l${lane}/${i}`;
    const revision = await store.commit([
      { key, value },
      { key: `${key}/twin`, value },
    ]);
    // A synchronous write: once it returns the parent has it, so "acknowledged" is never said of a write that was not.
    writeSync(1, `${key} ${revision}\n`);
    if (i % 50 === 49) void store.compact(revision - 20).catch(() => {});
  }
}

await Promise.all(Array.from({ length: 20 }, (_, lane) => writer(lane)));
