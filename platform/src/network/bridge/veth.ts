/**
 * A Pod's interface in a network namespace of the host: a veth pair, one end where a tap would be, the other the namespace's `eth0`.
 * Owns no state: the pair goes when either end goes, so with the namespace at the latest.
 */
import { changeLinksIn, checkNetnsPath } from '../netns.ts';
import { changeLinks, deviceList } from './links.ts';

export interface VethOptions {
  /** The host's end, and the bridge it belongs to. */
  hostDevice: string;
  bridge: string;
  netnsPath: string;
  mac: string;
  /** a.b.c.d/n */
  address: string;
  gateway: string;
  mtu: number;
}

/** Idempotent: a pair that is there is configured (again). Throws FailedPrecondition when there is no such namespace. */
export async function makeVeth(options: VethOptions): Promise<void> {
  const { hostDevice, bridge, netnsPath, mac, address, gateway, mtu } = options;
  checkNetnsPath(netnsPath);
  if (!(await deviceList()).has(hostDevice))
    await changeLinks([
      `link add name ${hostDevice} mtu ${mtu} type veth peer name eth0 address ${mac} mtu ${mtu} netns ${netnsPath}`,
    ]);
  await Promise.all([
    changeLinks([`link set dev ${hostDevice} master ${bridge} up`]),
    changeLinksIn(netnsPath, [
      'link set dev lo up',
      // The network carries IPv4 alone: no link-local address that nobody answers.
      'link set dev eth0 addrgenmode none up',
      `address replace ${address} dev eth0`,
      `route replace default via ${gateway} dev eth0`,
    ]),
  ]);
}
