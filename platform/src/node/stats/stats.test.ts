import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { systemClock } from '../../base/clock.ts';
import { evictionMessage, limitsStorage } from './eviction.ts';
import { busyTicks, HostMeter } from './host-usage.ts';

describe('eviction for disk space', () => {
  const pod = (containers: object[], volumes: object[] = []): Pod => ({ spec: { containers, volumes } }) as Pod;
  const limited = (name: string, limit: string) => ({ name, resources: { limits: { 'ephemeral-storage': limit } } });
  const use = (containers: Record<string, number>, volumes: Record<string, number> = {}) => ({
    containers: new Map(Object.entries(containers)),
    volumes: new Map(Object.entries(volumes)),
  });
  const mib = 1024 ** 2;

  test('a container beyond its own limit', () => {
    const is = pod([limited('a', '10Mi'), { name: 'b' }]);
    assert.equal(evictionMessage(is, use({ a: 10 * mib, b: 99 * mib })), undefined);
    assert.equal(
      evictionMessage(is, use({ a: 10 * mib + 1 })),
      'Container a exceeded its local ephemeral storage limit "10Mi". ',
    );
  });

  test('all together beyond the sum of their limits, emptyDirs on disk included and those in memory not', () => {
    const is = pod(
      [limited('a', '10Mi'), limited('b', '10Mi')],
      [
        { name: 'd', emptyDir: {} },
        { name: 'm', emptyDir: { medium: 'Memory' } },
      ],
    );
    assert.equal(evictionMessage(is, use({ a: 9 * mib, b: 9 * mib }, { d: 2 * mib, m: 50 * mib })), undefined);
    assert.match(
      evictionMessage(is, use({ a: 9 * mib, b: 9 * mib }, { d: 3 * mib })) ?? '',
      /^Pod ephemeral local storage usage exceeds/,
    );
  });

  test('only Pods with a limit are looked at', () => {
    assert.equal(limitsStorage(pod([{ name: 'a' }], [{ name: 'd', emptyDir: {} }])), false);
    assert.equal(limitsStorage(pod([limited('a', '1Mi')])), true);
    assert.equal(limitsStorage(pod([{ name: 'a' }], [{ name: 'd', emptyDir: { sizeLimit: '1Mi' } }])), true);
  });
});

test('the host’s CPU time is all but idle and waiting', () => {
  assert.equal(busyTicks('cpu  1 2 4 1000 2000 8 16 32 0 0\ncpu0 1 1 1 1\n'), 63);
});

test('the host’s use is measured between two samples', async () => {
  const meter = new HostMeter({ clock: systemClock, home: tmpdir() });
  const first = await meter.read();
  assert.equal(first.nanoCores, undefined);
  assert.ok(first.memoryBytes > 0 && first.disk.capacityBytes > 0);
  const until = performance.now() + 100;
  while (performance.now() < until) Math.sqrt(2);
  await delay(1);
  assert.ok(((await meter.read()).nanoCores ?? 0) > 0);
});
