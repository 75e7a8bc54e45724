/** Ports of the host that a Pod takes (containers[*].ports[*].hostPort), and when two Pods cannot stand on one node for it. Pure. */
import type { Pod } from 'kubernetes-types/core/v1.js';

interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

const everywhere = '0.0.0.0';

/** kube-scheduler's words. */
export const hostPortsTaken = "node(s) didn't have free ports for the requested pod ports";

/** Of the containers that run together; init containers that end do so before the others' ports are open. */
function hostPortsOf(pod: Pod): HostPort[] {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...containers, ...sidecars]
    .flatMap(({ ports = [] }) => ports)
    .flatMap(({ hostPort, hostIP, protocol = 'TCP' }) =>
      hostPort ? [{ ip: hostIP || everywhere, protocol, port: hostPort }] : [],
    );
}

/** kube-scheduler's NodePorts: the same port and protocol, on the same address or on all. */
export function hostPortsCollide(pod: Pod, others: readonly Pod[]): boolean {
  const wanted = hostPortsOf(pod);
  if (wanted.length === 0) return false;
  const taken = others.flatMap(hostPortsOf);
  return wanted.some((one) =>
    taken.some(
      (other) =>
        one.port === other.port &&
        one.protocol === other.protocol &&
        (one.ip === other.ip || one.ip === everywhere || other.ip === everywhere),
    ),
  );
}
