/** A sandbox as the runtime holds it: its record and, while it is ready, its machine, the link to its agent and what it mounted. */
import { hostname as hostName } from 'node:os';
import type { Machine } from '../../../vmm/vmm.ts';
import type { Container } from '../../containers/container.ts';
import { NamespaceMode } from '../../generated/cri.ts';
import type { SandboxRecord } from '../../records/sandbox-record.ts';
import type { VolumeSync } from '../../volumes/volume-sync.ts';
import type { AgentLink } from './agent-link.ts';

export class Sandbox {
  record: SandboxRecord;
  machine: Machine | undefined;
  link: AgentLink | undefined;
  readonly containers = new Map<string, Container>();
  /** Image id to the end of its attaching: host's side, then the guest's. */
  readonly disks = new Map<string, Promise<void>>();
  /** Images that a process before us has recorded, and may or may not have attached. */
  readonly unsureImages = new Set<string>();
  /** Volume id to the end of its making in the guest. */
  readonly volumes = new Map<string, Promise<void>>();
  readonly syncs = new Map<string, VolumeSync>();
  /** Stop was asked for: the machine's end is no news. */
  stopping = false;

  constructor(record: SandboxRecord) {
    this.record = record;
  }

  get id(): string {
    return this.record.id;
  }

  /** namespace/name, for messages. */
  get podName(): string {
    const { namespace, name } = this.record.config.metadata ?? {};
    return `${namespace}/${name}`;
  }

  /** The Pod's name where none is asked for, which may be longer than a host's: cut to a DNS label, as kubelet cuts it. */
  get hostname(): string {
    const { hostname, metadata, linux } = this.record.config;
    // CRI: empty only where the network is the host's, which has a name.
    if (!hostname && linux?.securityContext?.namespaceOptions?.network === NamespaceMode.NODE) return hostName();
    return hostname || metadata?.name?.slice(0, 63).replace(/[-.]+$/, '') || 'localhost';
  }
}
