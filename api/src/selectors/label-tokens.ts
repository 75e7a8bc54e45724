/** The lexer of label selectors: words and the symbols ( ) , ! = == != < >. Spaces separate. */
import { SampanError } from '../errors.ts';

/** More than any real selector; a bound for what strangers send. */
const maxLength = 64 * 1024;

export function tokenize(text: string): string[] {
  if (text.length > maxLength)
    throw new SampanError('BadRequest', `a label selector has at most ${maxLength} characters`);
  return text.match(/==|!=|[(),!=<>]|[^\s(),!=<>]+/g) ?? [];
}
