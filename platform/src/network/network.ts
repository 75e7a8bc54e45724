/**
 * The network seam: gives each Pod sandbox a tap device with an address.
 *
 * Owns: host devices (bridge, taps), nft rules, address leases, the Pods' DNS resolver. Does not own: configuring the guest's side
 * (the agent does, from what attach returns). A lease is state on disk, found again after a crash. Every driver passes
 * network/network-suite.ts. Drivers: bridge (first form: one flat network and NAT), fake. VPCs come behind the same interface.
 */

export interface AttachRequest {
  /** The sandbox's id; one attachment each. */
  sandboxId: string;
  podNamespace: string;
  podName: string;
  podUid: string;
}

export interface Attachment {
  sandboxId: string;
  /** Tap device in the host's network namespace, up, and part of the Pod network. At most 15 characters. */
  tapName: string;
  mac: string;
  ipv4: { address: string; prefixLength: number; gateway: string };
  mtu: number;
  /** Resolver addresses for Pods with dnsPolicy ClusterFirst. */
  nameservers: string[];
}

export interface Network {
  /** Brings up what all Pods share (bridge, NAT, resolver). Idempotent. Throws FailedPrecondition naming what the host lacks. */
  start(): Promise<void>;
  /** Idempotent by sandboxId: the same attachment again. Throws ResourceExhausted when no address is free. */
  attach(request: AttachRequest): Promise<Attachment>;
  /** Removes the tap and frees the lease. Idempotent. */
  detach(sandboxId: string): Promise<void>;
  /** What is attached, found on the host. */
  list(): Promise<Attachment[]>;
  /** Address of the host (the API server) as Pods reach it. */
  hostAddress(): string;
  /** Stops the resolver and background work; leaves devices and running Pods alone. */
  close(): Promise<void>;
  /** Removes everything start() made. Only legal with nothing attached. */
  teardown(): Promise<void>;
}
