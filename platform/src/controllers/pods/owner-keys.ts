/** From a change of an object to the owners that have to look: who controls it, who did, or who might adopt it. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { LabelSelectorObject } from '@sampan/api/selectors/label-selector.ts';
import { keyOf } from '../controller-options.ts';
import type { Change, SharedInformer } from '../informer/shared-informer.ts';
import { selectedBy } from '../selected-by.ts';
import { controllerOf } from './controller-ref.ts';

export interface Selecting extends KubeObject {
  spec?: { selector?: LabelSelectorObject };
}

/** Keys of `owners`, each once. */
export function ownerKeys<T extends Selecting>(change: Change<KubeObject>, owners: SharedInformer<T>): Set<string> {
  const { type, object, previous } = change;
  const keys = new Set<string>();
  for (const each of [object, previous]) {
    const owner = owners.byUid((each && controllerOf(each)?.uid) ?? '');
    if (owner) keys.add(keyOf(owner));
  }
  if (type === 'set' && !controllerOf(object)) {
    for (const owner of owners.list(object.metadata?.namespace)) if (selects(owner, object)) keys.add(keyOf(owner));
  }
  return keys;
}

export const selects = (owner: Selecting, object: KubeObject): boolean =>
  selectedBy(owner.spec?.selector, object.metadata?.labels);
