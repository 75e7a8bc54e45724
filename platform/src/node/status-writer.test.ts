import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from '@sampan/api/client.ts';
import { type Reason, SampanError } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { StatusWriter } from './status-writer.ts';

const pod: Pod = { metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1' } };

/** False: the writer takes the Pod for gone. */
async function flush(onPatch: Reason, onGet: Reason): Promise<boolean> {
  const fail = (reason: Reason) => async () => {
    throw new SampanError(reason, reason);
  };
  const client = { patch: fail(onPatch), get: fail(onGet) } as unknown as KubeClient;
  const writer = new StatusWriter({ client, clock: systemClock, log: silentLogger });
  writer.set(pod, { phase: 'Running' });
  return writer.flush('u');
}

test('the status of a Pod that is gone is written no more, also where a node may not look at what is not its own', async () => {
  assert.equal(await flush('NotFound', 'Forbidden'), false);
  assert.equal(await flush('Conflict', 'NotFound'), false);
  assert.equal(await flush('Conflict', 'Forbidden'), false);
});
