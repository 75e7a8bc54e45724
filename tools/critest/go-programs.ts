/** critest and crictl, built once from their Go module (pinned in go.mod beside this file) into the user's cache. */
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runTo } from '../conformance/run-to.ts';

/** As go.mod pins it. */
export const criToolsVersion = 'v1.34.0';

const binaryCache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sampan-test/bin');
const building = { critest: ['test', '-c'], crictl: ['build'] };

/** Where the program is, once built. */
export const binaryOf = (name: keyof typeof building): string => join(binaryCache, `${name}-${criToolsVersion}`);

/** Path of the program; builds it when it is not there, whole or not at all. */
export async function criTool(name: keyof typeof building): Promise<string> {
  const path = binaryOf(name);
  if (existsSync(path)) return path;
  await mkdir(binaryCache, { recursive: true });
  const source = `sigs.k8s.io/cri-tools/cmd/${name}`;
  console.log(`building ${source} from its Go module, once; it takes some minutes`);
  const fresh = `${path}.${process.pid}`;
  const flags = [...building[name], '-trimpath', '-ldflags', '-s -w'];
  const code = await runTo(['nice', '-n', '19', 'go', ...flags, '-o', fresh, source], {
    cwd: import.meta.dirname,
    env: { CGO_ENABLED: '0' },
  });
  if (code !== 0) throw new Error(`${source} does not build: see above`);
  await rename(fresh, path);
  return path;
}
