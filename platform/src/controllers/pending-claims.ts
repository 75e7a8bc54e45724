/**
 * Says of a PersistentVolumeClaim that waits why it does (`kubectl describe pvc`), in the words of Kubernetes' volume binder. This build
 * makes and binds no volumes: whoever provides them is a program beside it, or an administrator who binds by hand.
 */
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { PersistentVolumeClaim } from 'kubernetes-types/core/v1.js';
import type { StorageClass } from 'kubernetes-types/storage/v1.js';
import { createEventRecorder, type EventRecorder } from '../base/event-recorder.ts';
import type { ControllerParts } from './controller-options.ts';
import type { SharedInformer } from './informer/shared-informer.ts';

type ClaimObject = PersistentVolumeClaim & KubeObject;
type ClassObject = StorageClass & KubeObject;

export interface Explanation {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

/** Why a claim waits; undefined for one that has a volume, names one, or is going. */
function explainClaim(
  claim: PersistentVolumeClaim,
  classNamed: (name: string) => StorageClass | undefined,
): Explanation | undefined {
  const { storageClassName: name = '', volumeName } = claim.spec ?? {};
  if (claim.status?.phase !== 'Pending' || volumeName || claim.metadata?.deletionTimestamp) return undefined;
  if (!name) {
    const message = 'no persistent volumes available for this claim and no storage class is set';
    return { type: 'Normal', reason: 'FailedBinding', message };
  }
  const found = classNamed(name);
  if (!found) {
    const message = `storageclass.storage.k8s.io "${name}" not found`;
    return { type: 'Warning', reason: 'ProvisioningFailed', message };
  }
  if (found.volumeBindingMode === 'WaitForFirstConsumer') {
    const message = 'waiting for first consumer to be created before binding';
    return { type: 'Normal', reason: 'WaitForFirstConsumer', message };
  }
  const message = `Waiting for a volume to be created either by the external provisioner '${found.provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
  return { type: 'Normal', reason: 'ExternalProvisioning', message };
}

export class PendingClaims {
  readonly #claims: SharedInformer<ClaimObject>;
  readonly #classes: SharedInformer<ClassObject>;
  readonly #events: EventRecorder;
  /** uid of a claim to what was last said of it. */
  readonly #said = new Map<string, string>();
  #unsubscribe: (() => void)[] = [];

  constructor(options: ControllerParts) {
    this.#claims = options.informers.of<ClaimObject>(resources.persistentvolumeclaims);
    this.#classes = options.informers.of<ClassObject>(resources.storageclasses);
    this.#events = createEventRecorder({ ...options, component: 'persistentvolume-controller' });
  }

  async start(): Promise<void> {
    await Promise.all([this.#claims.start(), this.#classes.start()]);
    this.#unsubscribe = [
      this.#claims.subscribe(({ type, object }) => {
        if (type === 'removed') this.#said.delete(object.metadata?.uid ?? '');
        else this.#look(object);
      }),
      this.#classes.subscribe(() => {
        for (const claim of this.#claims.list()) this.#look(claim);
      }),
    ];
  }

  async close(): Promise<void> {
    for (const stop of this.#unsubscribe) stop();
    await this.#events.flush();
  }

  #look(claim: ClaimObject): void {
    const { uid = '', name, namespace, resourceVersion } = claim.metadata ?? {};
    const why = explainClaim(claim, (className) => this.#classes.get(className));
    if (!why) this.#said.delete(uid);
    if (!why || this.#said.get(uid) === why.message) return;
    this.#said.set(uid, why.message);
    const about = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid, resourceVersion };
    this.#events.event(about, why.type, why.reason, why.message);
  }
}
