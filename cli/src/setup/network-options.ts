/** The options that say which network Pods are on, for every command that starts a process which attaches Pods. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Failure } from '../failure.ts';

export interface NetworkOptions {
  /** The network comes from a chain of CNI plugins. */
  cni?: boolean;
  cniConfDir?: string;
  /** Several, with colons between them. */
  cniBinDir?: string;
  /** Parent device and addresses for Pods of the network mode macvlan. */
  macvlan?: string;
}

export const withNetworkOptions = (command: Command): Command =>
  command
    .option('--cni', "the Pods' network comes from CNI plugins instead of a bridge of our own")
    .option('--cni-conf-dir <directory>', 'the first network by name in it is taken (default: /etc/cni/net.d)')
    .option('--cni-bin-dir <directories>', 'where the plugins are (default: /opt/cni/bin:/usr/lib/cni)')
    .option(
      '--macvlan <wire>',
      'a wire that Pods of the class namespace may ask for: parent,first-last/length[,gateway], such as eth1,192.168.7.100-192.168.7.150/24,192.168.7.1',
    );

/** What the process is told in its environment. */
export function networkEnvironment({ cni, cniConfDir, cniBinDir, macvlan }: NetworkOptions): NodeJS.ProcessEnv {
  if (!cni && (cniConfDir || (cniBinDir && !macvlan)))
    throw new Failure('--cni-conf-dir and --cni-bin-dir', {
      why: 'they say where the network of --cni is found',
      mend: 'give --cni too',
    });
  return {
    ...(cni ? { SAMPAN_NETWORK: 'cni' } : {}),
    ...(cniConfDir ? { SAMPAN_CNI_CONF_DIR: resolve(cniConfDir) } : {}),
    ...(cniBinDir ? { SAMPAN_CNI_BIN_DIR: cniBinDir } : {}),
    ...(macvlan ? { SAMPAN_MACVLAN: macvlan } : {}),
  };
}
