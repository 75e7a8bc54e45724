/**
 * A share in a clone. QEMU reads no device state at all while it has a device that could not be saved, as a share's is one; so the device comes
 * after the state. microvm plugs nothing into a running machine, but all that it lacks is somebody to ask when a device comes to a bus: the bus of
 * a SCSI controller, which has no objection to anything, is lent for it. The guest finds the share where its template had a placeholder.
 */
import { lateShareBus, plugHandler } from './qemu-arguments.ts';
import type { QmpClient } from './qmp.ts';

/** Before the machine runs on. Throws InternalError with QEMU's words. */
export async function plugShare(qmp: QmpClient, tag: string): Promise<void> {
  await qmp.call('qom-set', { path: lateShareBus, property: 'hotplug-handler', value: plugHandler });
  await qmp.call('device_add', {
    driver: 'vhost-user-fs-device',
    id: 'share0-device',
    chardev: 'share0',
    tag,
    bus: lateShareBus,
  });
}
