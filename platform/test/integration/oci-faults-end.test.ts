/** kill -9 of the runtime service at each step of `sampan-runtime start`, `kill` and `delete`; oci-faults.test.ts has the others. */
import { after, afterEach, before, describe } from 'node:test';
import { missingForCri } from './support/cri-lab.ts';
import { FaultyOci, killedAtEach } from './support/faulty-oci.ts';

describe('the OCI command line over a service that is killed at the end of a container', {
  skip: missingForCri(),
}, () => {
  let faulty: FaultyOci;
  before(async () => {
    faulty = await FaultyOci.open('namespace');
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());

  killedAtEach(
    () => faulty,
    [
      ...['bundle-start', 'bundle-started', 'bundle-kill', 'bundle-exit', 'bundle-delete', 'bundle-deleted'],
      ...['bundle-unmount', 'bundle-forget-container', 'oci-delete-machine', 'bundle-stop', 'bundle-settle'],
      ...['bundle-detach', 'bundle-release', 'bundle-forget', 'oci-forget'],
    ],
  );
});
