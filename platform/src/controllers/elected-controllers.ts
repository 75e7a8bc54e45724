/** The controllers, running in one of several servers over one store: the one that holds the lease. */
import { hostname } from 'node:os';
import type { KubeClient } from '@sampan/api/client.ts';
import type { Clock } from '../base/clock.ts';
import { newUid } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Controllers } from './controllers.ts';
import { LeaderElection } from './leader-election.ts';

/** What kubectl shows: `kubectl get lease -n kube-system sampan-controllers`. */
const controllersLease = { name: 'sampan-controllers', namespace: 'kube-system' };

export interface ElectedControllersOptions {
  client: KubeClient;
  log: Logger;
  clock?: Clock;
  /** Makes the controllers of one term; their clients must go through `fence`. */
  make(fence: (client: KubeClient) => KubeClient): Controllers;
}

/** `start` does not wait for the lease. */
export function electedControllers({ make, ...options }: ElectedControllersOptions): Controllers {
  const election: LeaderElection = new LeaderElection({
    ...options,
    identity: `${hostname()}_${process.pid}_${newUid()}`,
    lease: controllersLease,
    lead: () => make((client) => election.fence(client)),
  });
  return {
    start: async () => election.start(),
    close: () => election.close(),
  };
}
