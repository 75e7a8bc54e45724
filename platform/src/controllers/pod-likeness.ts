/** Which Pods a Pod's affinity term or spread constraint means by their labels. Pure. */
import type { LabelSelectorObject } from '@sampan/api/selectors/label-selector.ts';
import type { PodObject } from './node-selection.ts';
import { selectedBy } from './selected-by.ts';

export interface Likeness {
  labelSelector?: LabelSelectorObject;
  /** Labels that are to be the owner's own, or are not to be; one that the owner has not says nothing. */
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

export function likenessTo(owner: PodObject, wanted: Likeness): (other: PodObject) => boolean {
  const own = owner.metadata?.labels ?? {};
  const had = (keys: string[] = []) => keys.filter((key) => Object.hasOwn(own, key));
  const same = had(wanted.matchLabelKeys);
  const others = had(wanted.mismatchLabelKeys);
  return ({ metadata }) => {
    const its = metadata?.labels ?? {};
    if (!selectedBy(wanted.labelSelector, its)) return false;
    return same.every((key) => its[key] === own[key]) && others.every((key) => its[key] !== own[key]);
  };
}
