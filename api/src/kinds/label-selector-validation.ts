/** Validation of LabelSelector objects in specs (apimachinery meta/v1/validation ValidateLabelSelector). */
import type { Cause } from '../errors.ts';
import { forbidden, invalid, invalidFor, required } from '../field-errors.ts';
import { labelValueProblems, qualifiedNameProblems } from '../names.ts';
import type { LabelSelectorObject } from '../selectors/label-selector.ts';

export function validateLabelSelector(selector: LabelSelectorObject = {}, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    causes.push(...invalidFor(`${field}.matchLabels`, key, qualifiedNameProblems(key)));
    causes.push(...invalidFor(`${field}.matchLabels`, value, labelValueProblems(value)));
  }
  for (const [i, { key = '', operator = '', values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${i}]`;
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0)
        causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      if (values.length > 0) causes.push(forbidden(`${at}.values`, detail));
    } else causes.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    causes.push(...invalidFor(`${at}.key`, key, qualifiedNameProblems(key)));
    for (const [j, value] of values.entries()) {
      causes.push(...invalidFor(`${at}.values[${j}]`, value, labelValueProblems(value)));
    }
  }
  return causes;
}

/** No requirement at all: it would match everything. */
export function isEmptySelector(selector: LabelSelectorObject): boolean {
  return Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
}
