/** Names of resources and kinds: RFC 1035 labels, which begin with a letter (apimachinery util/validation). */
import { maxLengthMessage, patternMessage } from '../names.ts';

const label = '[a-z]([-a-z0-9]*[a-z0-9])?';

export function dns1035Problems(value: string): string[] {
  const problems = value.length > 63 ? [maxLengthMessage(63)] : [];
  if (new RegExp(`^${label}$`).test(value)) return problems;
  const sentence =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
  return [...problems, patternMessage(sentence, label, 'my-name', 'abc-123')];
}
