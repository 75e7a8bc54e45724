/**
 * Keeps room on the disk for images, as the kubelet's image manager does: looks every five minutes, more often while the disk is short, and says
 * so on the Node when not enough could be given back. Does not own what is removed and in which order (images/garbage.ts).
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { EventRecorder } from '../../base/event-recorder.ts';
import type { Logger } from '../../base/log.ts';
import type { GarbageResult } from '../../images/garbage.ts';
import type { ImageGarbageCollector } from '../../images/images.ts';
import type { DiskPressure } from '../stats/disk-pressure.ts';

export interface ImageKeeperOptions {
  images: ImageGarbageCollector;
  nodeName: string;
  disk: DiskPressure;
  events: EventRecorder;
  clock: Clock;
  log: Logger;
}

/** kubelet's imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge and ImageGCPeriod. */
const marks = { highPercent: 85, lowPercent: 80, minAgeMs: 2 * 60_000 };
const everyMs = 5 * 60_000;
/** Under disk pressure whatever is not used goes. */
const everything = { ...marks, highPercent: 0, lowPercent: 0 };
const underPressureEveryMs = 60_000;
const tickMs = 10_000;

/** Until `signal` aborts. */
export async function keepRoomForImages(options: ImageKeeperOptions, signal: AbortSignal): Promise<void> {
  const { clock, disk } = options;
  const failures = { inARow: 0 };
  let lastMs = -Infinity;
  while (!signal.aborted) {
    const nowMs = clock.now();
    if (nowMs - lastMs >= (disk.isHigh ? underPressureEveryMs : everyMs)) {
      lastMs = nowMs;
      await collect(options, failures);
    }
    await clock.sleep(tickMs, signal).catch(() => {});
  }
}

async function collect(options: ImageKeeperOptions, failures: { inARow: number }): Promise<void> {
  const { images, nodeName, events, log, disk } = options;
  // kubelet's own events name its node by name alone; kubectl describe finds them so.
  const node = { kind: 'Node', name: nodeName, uid: nodeName };
  try {
    const result = await images.collectGarbage(disk.isHigh ? everything : marks);
    const { removed, freedBytes } = result;
    if (removed.length > 0) log.info({ removed, freedBytes }, 'images removed to make room');
    const shortage = disk.isHigh ? undefined : shortageOf(result);
    if (!shortage) {
      failures.inARow = 0;
      return;
    }
    events.event(node, 'Warning', 'FreeDiskSpaceFailed', shortage);
    throw new Error(shortage);
  } catch (error) {
    failures.inARow += 1;
    log.warn({ error: messageOf(error) }, 'image garbage collection failed');
    // As the kubelet does: once may be chance.
    if (failures.inARow > 1) events.event(node, 'Warning', 'ImageGCFailed', messageOf(error));
  }
}

/** kubelet's sentence when less was given back than had to be. */
export function shortageOf({ wantedBytes, freedBytes, disk }: GarbageResult): string | undefined {
  if (freedBytes >= wantedBytes) return undefined;
  const percent = Math.floor((disk.usedBytes * 100) / disk.capacityBytes);
  return (
    `Insufficient free disk space on the node's image filesystem (${percent}% of ${gib(disk.capacityBytes)} used). ` +
    `Failed to free sufficient space by deleting unused images (freed ${freedBytes} bytes). ` +
    'Consider resizing the disk or deleting unused files.'
  );
}

const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
