/**
 * The network seam: gives each Pod sandbox an interface with addresses: a tap for a machine, or an `eth0` in a network namespace.
 *
 * Owns: host devices (bridge, taps, veths), nft rules, address leases, ports of the host that lead to Pods, the Pods' DNS resolver.
 * Does not own: configuring a guest's side (the agent does, from what attach returns). A lease is state on disk, found again after a
 * crash. Every driver passes network/network-suite.ts. Drivers: bridge (first form: one flat network and NAT), cni (any chain of CNI
 * plugins), macvlan (a wire of the host beside one of these), fake. VPCs come behind the same interface.
 */

/** A port of the host that leads to the sandbox (CRI PortMapping). */
export interface PortMapping {
  protocol: 'tcp' | 'udp' | 'sctp';
  containerPort: number;
  /** 1 to 65535. */
  hostPort: number;
  /** The host's address it is open on; absent: all. */
  hostIp?: string;
}

export interface AttachRequest {
  /** The sandbox's id; one attachment each. */
  sandboxId: string;
  podNamespace: string;
  podName: string;
  podUid: string;
  /**
   * Path of the sandbox's network namespace (a bound /proc/PID/ns/net): the driver makes a configured `eth0` (address, route, MTU) in
   * it, and `lo` up, instead of a tap. Absent: a tap for a machine.
   */
  netnsPath?: string;
  /**
   * 'macvlan': not the Pod network, but an interface on the wire of a device of the host that its operator has named for this; needs netnsPath. The
   * kernel lets nothing through between the host itself and such an interface. Absent: the Pod network.
   */
  mode?: 'macvlan';
  portMappings?: PortMapping[];
  /** The Pod's annotations, for plugins that read them (kubernetes.io/ingress-bandwidth). */
  annotations?: Record<string, string>;
  /** What the Pod is told of names, for plugins that serve them. */
  dns?: { servers: string[]; searches: string[]; options: string[] };
}

export interface InterfaceAddress {
  address: string;
  prefixLength: number;
  /** Where the default route leads; absent: there is none of this family. */
  gateway?: string;
}

export interface Route {
  /** address/length; never the default route, which is InterfaceAddress.gateway. */
  destination: string;
  /** Absent: the destination is on the link. */
  gateway?: string;
}

export interface Attachment {
  sandboxId: string;
  /** Tap device, up, and part of the Pod network. At most 15 characters. Absent when the request named a network namespace. */
  tapName?: string;
  /** The network namespace that tapName (or eth0) lives in; absent: the host's (the server's). */
  netnsPath?: string;
  mac: string;
  ipv4: InterfaceAddress;
  ipv6?: InterfaceAddress;
  /** Further addresses of the interface, of both families. */
  moreAddresses?: { address: string; prefixLength: number }[];
  routes?: Route[];
  mtu: number;
  /** Resolver addresses for Pods with dnsPolicy ClusterFirst. */
  nameservers: string[];
  /** What the network says of names beside its servers (CNI's dns), for sandboxes whose caller says nothing. */
  dns?: { searches: string[]; options: string[] };
}

export interface Network {
  /** Brings up what all Pods share (bridge, NAT, resolver). Idempotent. Throws FailedPrecondition naming what the host lacks. */
  start(): Promise<void>;
  /**
   * Idempotent by sandboxId: the same attachment again. Throws ResourceExhausted when no address is free, AlreadyExists naming a host
   * port that is taken, Unsupported for what this network cannot do.
   */
  attach(request: AttachRequest): Promise<Attachment>;
  /** Removes the interface and the host ports, and frees the lease. Idempotent; the network namespace may be gone already. */
  detach(sandboxId: string): Promise<void>;
  /** What is attached, found on the host. */
  list(): Promise<Attachment[]>;
  /** Why no sandbox can be attached just now, in words; undefined when one can. Absent: whatever start() has found goes on. */
  fault?(): Promise<string | undefined>;
  /** Address of the host (the API server) as Pods reach it. */
  hostAddress(): string;
  /** Stops the resolver and background work; leaves devices and running Pods alone. */
  close(): Promise<void>;
  /** Removes everything start() made. Only legal with nothing attached. */
  teardown(): Promise<void>;
}
