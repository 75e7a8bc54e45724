/** containerd 2 and its ctr, built once from their Go module (pinned in test/clients/containerd). */
import { buildGoTool } from '../../clients/go-tool.ts';
import type { ContainerdPrograms } from './containerd-lab.ts';

/** What it would only need other libraries for. */
const flags = ['-tags=no_btrfs,no_zfs,no_devmapper,no_tracing'];
const module = 'github.com/containerd/containerd/v2';

/** Or why there is none. */
export async function buildContainerd2(): Promise<{ programs?: ContainerdPrograms; missing?: string }> {
  const containerd = await buildGoTool('containerd', `${module}/cmd/containerd`, flags);
  const ctr = await buildGoTool('containerd', `${module}/cmd/ctr`, flags);
  if (containerd.path && ctr.path) return { programs: { containerd: containerd.path, ctr: ctr.path, major: 2 } };
  return { missing: containerd.missing ?? ctr.missing ?? 'it does not build' };
}
