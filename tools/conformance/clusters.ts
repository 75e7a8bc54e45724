/** The two clusters that tests are run against; both end with their scope. */

import { prepare } from '../../cli/src/commands/up.ts';
import { runtimePackages, testPackages } from '../../cli/src/setup/packages.ts';
import { startClientsLab } from '../../platform/test/integration/clients-lab.ts';
import { startInstance } from '../../platform/test/integration/support/instance.ts';
import { conformanceImages } from './images.ts';
import type { Place } from './scope.ts';

export interface Cluster extends AsyncDisposable {
  kubeconfig: string;
}

export const openCluster: Record<Place, () => Promise<Cluster>> = {
  api: () =>
    startClientsLab({
      apiServer: { host: '10.64.0.1', port: 6443 },
      more: { serviceNetwork: { others: ['10.64.0.1'] } },
    }),

  /** A whole instance, which has all images: nothing is pulled from anywhere. */
  async machines() {
    for (const { name, directory } of await prepare([...runtimePackages, ...testPackages], { quiet: true }))
      process.env[`SAMPAN_${name.toUpperCase()}_DIR`] ??= directory;
    // Tests count on Pods that ask for nothing taking no room; here each counts half a core.
    process.env.SAMPAN_OFFERED_CPUS ??= '16';
    const archive = await conformanceImages();
    const instance = await startInstance('conformance');
    try {
      const imported = await instance.sampan(['image', 'import', archive], { timeoutMs: 600_000 });
      if (imported.code !== 0) throw new Error(`image import: ${imported.stderr}`);
    } catch (error) {
      await instance.stop();
      throw error;
    }
    return {
      kubeconfig: instance.kubeconfig,
      async [Symbol.asyncDispose]() {
        // What a test leaves behind is said, and spoils no outcome.
        await instance.stop().catch((error: Error) => console.error(error.message));
      },
    };
  },
};
