/** Which objects the LabelSelector of a spec selects. Pure. */
import {
  fromLabelSelectorObject,
  type LabelRequirement,
  type LabelSelectorObject,
  matchesLabels,
} from '@sampan/api/selectors/label-selector.ts';

/** As read, by the selectors of frozen objects: a set of hundreds of Pods asks hundreds of times. */
const known = new WeakMap<LabelSelectorObject, LabelRequirement[]>();

/** An absent selector selects nothing, an empty one everything. */
export function selectedBy(
  selector: LabelSelectorObject | undefined,
  labels: Record<string, string> | undefined,
): boolean {
  if (!selector) return false;
  let requirements = known.get(selector);
  if (!requirements) {
    requirements = fromLabelSelectorObject(selector);
    known.set(selector, requirements);
  }
  return matchesLabels(requirements, labels);
}
