/** kill -9 of the runtime service at each step of `sampan-runtime start`, `kill` and `delete`; oci-faults.test.ts has the others. */
import { describe } from 'node:test';
import { killedAtEach, oneFaultyOci } from './support/container-life.ts';
import { missingForCri } from './support/cri-lab.ts';

describe('the OCI command line over a service that is killed at the end of a container', {
  skip: missingForCri(),
}, () => {
  killedAtEach(oneFaultyOci('namespace'), [
    ...['bundle-start', 'bundle-started', 'bundle-kill', 'bundle-exit', 'bundle-delete', 'bundle-deleted'],
    ...['bundle-unmount', 'bundle-forget-container', 'oci-delete-machine', 'bundle-stop', 'bundle-settle'],
    ...['bundle-detach', 'bundle-release', 'bundle-forget', 'oci-forget'],
  ]);
});
