/** containerd 2 and its ctr, built once from their Go module (pinned in test/clients/containerd). */
import { buildGoTool } from '../../clients/go-tool.ts';
import type { ContainerdPrograms } from './containerd-lab.ts';

/** Or why there is none. */
export async function buildContainerd2(): Promise<{ programs?: ContainerdPrograms; missing?: string }> {
  const containerd = await buildGoTool('containerd');
  const ctr = await buildGoTool('ctr');
  if (containerd.path && ctr.path) return { programs: { containerd: containerd.path, ctr: ctr.path, major: 2 } };
  return { missing: containerd.missing ?? ctr.missing ?? 'it does not build' };
}
