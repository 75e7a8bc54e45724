/** Field selectors (apimachinery fields): `a=b,c!=d`; backslash escapes comma, equals sign and backslash in values. */
import { SampanError } from '../errors.ts';

export interface FieldTerm {
  field: string;
  operator: '=' | '!=';
  value: string;
}

/** Throws BadRequest. Whether a kind has the field is for its `selectableFields` to say. */
export function parseFieldSelector(text: string): FieldTerm[] {
  return splitUnescaped(text)
    .filter((term) => term !== '')
    .map(parseTerm);
}

function parseTerm(term: string): FieldTerm {
  const [, field, operator, value] = /^((?:\\.|[^\\!=])+?)(!=|==|=)(.*)$/s.exec(term) ?? [];
  if (field === undefined || value === undefined) {
    throw new SampanError('BadRequest', `invalid selector: '${term}'; can't understand '${term}'`);
  }
  return { field, operator: operator === '!=' ? '!=' : '=', value: unescapeValue(value) };
}

function splitUnescaped(text: string): string[] {
  return text.match(/(?:\\.|[^\\,]|\\$)+/gs) ?? [];
}

function unescapeValue(value: string): string {
  if (/(?<!\\)(?:\\\\)*=/.test(value)) {
    throw new SampanError('BadRequest', `invalid field selector: unescaped character in value: ${value}`);
  }
  return value.replace(/\\(.|$)/gs, (whole, escaped: string) => {
    if (escaped === ',' || escaped === '=' || escaped === '\\') return escaped;
    throw new SampanError('BadRequest', `invalid field selector: invalid escape sequence: ${whole}`);
  });
}
