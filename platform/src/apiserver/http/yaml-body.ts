/**
 * YAML of one document, within bounds: the parser's trees are a hundred times the size of their text, and it looks for doubled keys by comparing
 * each with each. So depth is counted in the tokens before there is a tree, and keys are compared afterwards.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { Document, LineCounter } from 'yaml';

/** Whoever has more to say can say it in JSON. */
const maxYamlBytes = 512 * 1024;
const maxDepth = 100;
/** Aliases are bounded so that a small body cannot become a huge object. */
const maxAliases = 100;

type Yaml = typeof import('yaml');

/** Throws SyntaxError for what is no YAML, RequestEntityTooLarge. The parser is loaded when first needed: most clients send JSON. */
export async function parseOneYaml(text: string): Promise<unknown> {
  // JSON is YAML, and clients that apply mostly send that: it need not go the long way.
  if (/^\s*\{/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {}
  }
  if (text.length > maxYamlBytes) {
    const message = `Request entity too large: limit of a body in YAML is ${maxYamlBytes}; send JSON`;
    throw new SampanError('RequestEntityTooLarge', message);
  }
  const yaml = await import('yaml');
  checkTokens(yaml, text);
  const lineCounter = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { uniqueKeys: false, logLevel: 'error', lineCounter });
  const [error] = document.errors;
  if (error) throw new SyntaxError(error.message);
  checkKeys(yaml, document, lineCounter);
  return document.toJS({ maxAliasCount: maxAliases });
}

/** Brackets within brackets, and dashes (`- - - x`) or question marks one after the other in a line. */
function checkTokens({ Lexer }: Yaml, text: string): void {
  let brackets = 0;
  let marks = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') brackets += 1;
    else if (token === ']' || token === '}') brackets -= 1;
    else if (token === '-' || token === '?' || token === ':') marks += 1;
    else if (token === '\n' || token === '\r\n') marks = 0;
    if (brackets > maxDepth || (brackets === 0 && marks > maxDepth)) {
      throw new SyntaxError(`nested deeper than ${maxDepth} levels`);
    }
  }
}

/** In the words of Go's parser, which clients look for. */
function checkKeys({ visit, isMap, isScalar, isNode }: Yaml, document: Document.Parsed, lines: LineCounter): void {
  visit(document, {
    Map(_, map) {
      if (!isMap(map)) return;
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        const name = isScalar(key) ? key.value : key;
        if (!seen.has(name) || name === '<<') {
          seen.add(name);
          continue;
        }
        const { line } = lines.linePos(isNode(key) ? (key.range?.[0] ?? 0) : 0);
        throw new SyntaxError(
          `yaml: unmarshal errors:\n  line ${line}: key ${JSON.stringify(name)} already set in map`,
        );
      }
    },
  });
}
