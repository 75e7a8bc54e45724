/** A kubelet's surroundings in tests: `sampan cri` under it, an image to run, control groups for its Pods; and what there is to be waited for. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { binaryOf } from '../../../../tools/conformance/go-programs.ts';
import { PodSandboxState } from '../../../src/runtime/generated/cri.ts';
import { buildImage } from '../../fixtures/images/build-image.ts';
import { type Registry, startRegistry } from '../../fixtures/images/registry.ts';
import { CgroupTree } from './cgroup-tree.ts';
import { CriLab, missingForCri } from './cri-lab.ts';
import { besideTheHost } from './kubelet-lab.ts';
import { until } from './wait.ts';

export const kubeletBinary = binaryOf('kubelet');

/** Why this machine cannot run these tests, or undefined. */
export const missingForKubelet = (): string | undefined =>
  missingForCri() ??
  (existsSync(kubeletBinary) ? undefined : 'kubelet is not built: npm run kubelet builds it, in some minutes');

export interface KubeletWorld extends AsyncDisposable {
  home: string;
  cri: CriLab;
  registry: Registry;
  image: string;
  /** kubelet's. */
  cgroups: CgroupTree;
}

/** In a mount namespace of the caller's own. */
export async function newKubeletWorld(): Promise<KubeletWorld> {
  const home = await mkdtemp('/var/tmp/sampan-kubelet-');
  await besideTheHost(join(home, 'settings'));
  const registry = await startRegistry();
  const image = await registry.pushImage(await buildImage('busybox'), 'kubelet/busybox:1');
  const cri = await CriLab.open('kubelet-cri');
  const cgroups = await CgroupTree.make();
  return {
    ...{ home, cri, registry, image, cgroups },
    [Symbol.asyncDispose]: async () => {
      await cri[Symbol.asyncDispose]();
      await cgroups[Symbol.asyncDispose]();
      await registry.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** What kubelet has made for Pods, and what is beneath it. */
export const podGroups = (cgroups: CgroupTree): string[] =>
  cgroups.groups().filter((path) => /(^|\/)pod[0-9a-f]/.test(path));

/** kubelet collects what is left of sandboxes once a minute; what they held is gone before. */
export async function stopped({ client }: CriLab): Promise<void> {
  await until('no sandbox of a Pod runs', async () => {
    const { items = [] } = await client.listPodSandbox({});
    return items.every(({ state }) => state === PodSandboxState.SANDBOX_NOTREADY);
  });
}
