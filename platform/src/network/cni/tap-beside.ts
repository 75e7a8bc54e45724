/**
 * A tap beside an interface of a network namespace: everything that comes in by one goes out by the other, so that a machine behind the tap
 * stands where the interface does, with its MAC and addresses. By tc (an ingress filter with a mirred redirect on both), or where the
 * kernel has no such filters by a bridge. Owns no state: all of it goes with the namespace.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { run } from '../../base/child.ts';
import { changeLinksIn } from '../netns.ts';

export const tapDevice = 'tap0';
const bridgeDevice = 'tapbr0';

export interface Link {
  mac: string;
  mtu: number;
}

const linkSchema = z
  .array(
    z.looseObject({ address: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/), mtu: z.number().int().positive() }),
  )
  .length(1);

/** Throws FailedPrecondition when the interface is not there, or is none that carries frames. */
export async function linkOf(netnsPath: string, device: string): Promise<Link> {
  const { stdout } = await run('nsenter', [`--net=${netnsPath}`, 'ip', '-j', 'link', 'show', 'dev', device]).catch(
    (error) => {
      throw new SampanError('FailedPrecondition', `no ${device} in ${netnsPath}`, {}, { cause: error });
    },
  );
  const parsed = linkSchema.safeParse(JSON.parse(stdout || '[]'));
  if (!parsed.success) throw new SampanError('FailedPrecondition', `${device} in ${netnsPath} is no Ethernet device`);
  const [link] = parsed.data;
  return { mac: link!.address, mtu: link!.mtu };
}

/** Idempotent. `way` is for tests: the fallback is taken by itself where tc cannot do it. */
export async function makeTapBeside(netnsPath: string, device: string, way: 'tc' | 'bridge' = 'tc'): Promise<Link> {
  const link = await linkOf(netnsPath, device);
  if (await hasDevice(netnsPath, tapDevice)) return link;
  await changeLinksIn(netnsPath, [
    // The header that the VMM's open (IFF_VNET_HDR) has to find.
    `tuntap add dev ${tapDevice} mode tap vnet_hdr`,
    // It has nothing to say itself.
    `link set dev ${tapDevice} addrgenmode none mtu ${link.mtu} up`,
  ]);
  if (way === 'tc' && (await redirect(netnsPath, device))) return link;
  await joinByBridge(netnsPath, device);
  return link;
}

const hasDevice = async (netnsPath: string, device: string): Promise<boolean> =>
  (await run('nsenter', [`--net=${netnsPath}`, 'ip', 'link', 'show', 'dev', device], { okCodes: [0, 1] })).code === 0;

/** False when tc or the kernel's part of it is not there. A qdisc that a plugin put there (bandwidth) stays: ingress is another hook. */
async function redirect(netnsPath: string, device: string): Promise<boolean> {
  const filter = (from: string, to: string) =>
    `filter replace dev ${from} parent ffff: protocol all prio 1 handle 800::800 u32 match u32 0 0 action mirred egress redirect dev ${to}`;
  const commands = [
    `qdisc replace dev ${device} ingress`,
    `qdisc replace dev ${tapDevice} ingress`,
    filter(device, tapDevice),
    filter(tapDevice, device),
  ];
  const input = `${commands.join('\n')}\n`;
  const { code } = await run('nsenter', [`--net=${netnsPath}`, 'tc', '-batch', '-'], {
    input,
    okCodes: [0, 1, 2, 127],
  });
  return code === 0;
}

/** The interface gives its MAC to the machine: frames for it would else end in the bridge itself. */
async function joinByBridge(netnsPath: string, device: string): Promise<void> {
  const own = '02:00:00:00:00:01';
  await run('nsenter', [`--net=${netnsPath}`, 'tc', 'qdisc', 'delete', 'dev', device, 'ingress'], {
    okCodes: [0, 1, 2, 127],
  });
  await changeLinksIn(netnsPath, [
    `link add name ${bridgeDevice} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
    // It answers for nobody: addresses stay where the plugins put them and look for them again.
    `link set dev ${bridgeDevice} arp off addrgenmode none`,
    // Without going down: that would take its IPv6 addresses.
    `link set dev ${device} address ${own} master ${bridgeDevice}`,
    `link set dev ${tapDevice} master ${bridgeDevice}`,
    // Two ports need not learn; and a network that sends a frame back where it came from (hairpin) would teach them wrongly.
    `link set dev ${device} type bridge_slave learning off`,
    `link set dev ${tapDevice} type bridge_slave learning off`,
    `link set dev ${bridgeDevice} up`,
  ]);
}
