/** Real clients, runtimes and stores that are written in Go: each is built once from its module in a folder here; what the folder pins names the binary. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildGoProgram, type GoProgram } from '../../../tools/go-program.ts';

interface ToolSource {
  folder: string;
  /** As `go build` names it; by default the folder's own program. */
  target?: string;
  flags?: string[];
}

const containerd = {
  folder: 'containerd',
  /** What it would only need other libraries for. */
  flags: ['-tags=no_btrfs,no_zfs,no_devmapper,no_tracing'],
};
const sources = {
  etcd: { folder: 'etcd', target: 'go.etcd.io/etcd/server/v3' },
  go: { folder: 'go' },
  cri: { folder: 'cri' },
  helm: { folder: 'helm', target: 'helm.sh/helm/v3/cmd/helm' },
  containerd: { ...containerd, target: 'github.com/containerd/containerd/v2/cmd/containerd' },
  ctr: { ...containerd, target: 'github.com/containerd/containerd/v2/cmd/ctr' },
} satisfies Record<string, ToolSource>;

export type GoToolName = keyof typeof sources;
export const goToolNames = Object.keys(sources) as GoToolName[];

/** Of one build. A whole run of the tests sets a moment for all of them besides (SAMPAN_CLIENTS_BY, in milliseconds since 1970): it must end, too. */
const longestMs = 9 * 60_000;

export interface GoTool {
  /** The binary, where it could be built. */
  path?: string;
  /** Why there is none. */
  missing?: string;
}

export async function buildGoTool(name: GoToolName): Promise<GoTool> {
  const program = programOf(sources[name]);
  const limitMs = Math.min(longestMs, Number(process.env.SAMPAN_CLIENTS_BY ?? Number.POSITIVE_INFINITY) - Date.now());
  try {
    // Less than a moment still finds what is built.
    return { path: await buildGoProgram(program, Math.max(1, limitMs)) };
  } catch (error) {
    return { missing: `${(error as Error).message.slice(-500)}; npm run test-clients builds it, in some minutes` };
  }
}

function programOf({ folder, target = '.', flags = [] }: ToolSource): GoProgram {
  const directory = join(import.meta.dirname, folder);
  const hash = createHash('sha256').update([target, ...flags].join(' '));
  for (const file of readdirSync(directory).sort()) hash.update(file).update(readFileSync(join(directory, file)));
  return {
    file: `${folder}-${hash.digest('hex').slice(0, 12)}`,
    folder: directory,
    package: target,
    args: ['build', '-ldflags=-s -w', ...flags],
  };
}
