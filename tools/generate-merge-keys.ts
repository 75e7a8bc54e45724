/**
 * Writes api/src/generated/merge-keys.json: which lists and maps of our kinds are sets of named things, for strategic merge patch and for
 * server-side apply.
 *
 * Run at development time: `node tools/generate-merge-keys.ts <sources of the Go module k8s.io/api> <those of k8s.io/apimachinery>`
 * (`go mod download -json k8s.io/api@v0.33.3` prints where they are). Kubernetes' Go types carry the facts as struct tags (patchStrategy,
 * patchMergeKey) and as markers in comments (+listType, +listMapKey, +mapType, +structType, +default). Types come from schemas.json.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MergeKeyData, MergeKeys } from '../api/src/patch/merge-keys.ts';
import type { SchemaData } from '../api/src/schema/schema-data.ts';

const [api, machinery] = process.argv.slice(2);
if (!api || !machinery) throw new Error('usage: node tools/generate-merge-keys.ts <k8s.io/api> <k8s.io/apimachinery>');
const generated = join(dirname(fileURLToPath(import.meta.url)), '../api/src/generated');
const schemas: SchemaData = JSON.parse(readFileSync(join(generated, 'schemas.json'), 'utf8'));

interface GoType {
  atomic: boolean;
  fields: Map<string, MergeKeys>;
  /** Go types whose fields are written as if they were its own. */
  inline: string[];
  defaults: Map<string, string>;
  /** Go type of each field's elements. */
  types: Map<string, string>;
}

/** Type name such as `core/v1.Container` to what its source says. */
const goTypes = new Map<string, GoType>();

for (const group of new Set(Object.keys(schemas.types).map((name) => name.split('.').slice(0, -1).join('.')))) {
  const [name = '', version = ''] = group.split('/');
  const folder = name === 'meta' ? join(machinery, 'pkg/apis/meta', version) : join(api, name.split('.')[0]!, version);
  let files: string[] = [];
  try {
    files = readdirSync(folder).filter((file) => /types?(_\w+)?\.go$/.test(file) && !file.startsWith('zz_'));
  } catch {
    // apiextensions lives in a module of its own: its lists are taken as a whole.
  }
  for (const file of files) readTypes(`${name}/${version}`, readFileSync(join(folder, file), 'utf8'));
}

function readTypes(prefix: string, source: string): void {
  let marks: string[] = [];
  let type: GoType | undefined;
  for (const line of source.split('\n')) {
    const text = line.trim();
    if (text.startsWith('//')) {
      if (text.startsWith('// +')) marks.push(text.slice(4));
      continue;
    }
    const opened = /^type (\w+) struct \{/.exec(text);
    if (opened) {
      const atomic = marks.includes('structType=atomic');
      type = { atomic, fields: new Map(), inline: [], defaults: new Map(), types: new Map() };
      goTypes.set(`${prefix}.${opened[1]}`, type);
    } else if (line.startsWith('}')) type = undefined;
    else if (type && text) readField(prefix, type, text, marks);
    if (text) marks = [];
  }
}

function readField(prefix: string, type: GoType, text: string, marks: string[]): void {
  const [, head = '', tag = ''] = /^([^`]*)`(.*)`/.exec(text) ?? [];
  const [name, option] = (/json:"([^"]*)"/.exec(tag)?.[1] ?? '').split(',');
  if (!name) {
    if (option === 'inline') type.inline.push(`${prefix}.${head.trim()}`);
    return;
  }
  const mark = (key: string) =>
    marks.filter((one) => one.startsWith(`${key}=`)).map((one) => one.slice(key.length + 1).replaceAll('"', ''));
  const strategy = /patchStrategy:"([^"]*)"/.exec(tag)?.[1]?.split(',') ?? [];
  const found: MergeKeys = {};
  if (strategy.includes('merge')) found.patch = /patchMergeKey:"([^"]*)"/.exec(tag)?.[1] ?? '';
  if (strategy.includes('retainKeys')) found.retainKeys = true;
  const [list] = mark('listType');
  if (list === 'set') found.apply = 'set';
  if (list === 'map') found.apply = mark('listMapKey');
  if (mark('structType')[0] === 'atomic' || mark('mapType')[0] === 'atomic') found.apply = 'atomic';
  if (Object.keys(found).length > 0) type.fields.set(name, found);
  const [value] = mark('default');
  if (value !== undefined) type.defaults.set(name, value);
  type.types.set(name, `${prefix}.${/(\w+)$/.exec(head.trim())?.[1]}`);
}

/** With what it inlines. */
function fieldsOf(name: string): [string, MergeKeys][] {
  const type = goTypes.get(name);
  return type ? [...type.fields, ...type.inline.flatMap(fieldsOf)] : [];
}

const types: MergeKeyData['types'] = {};
for (const name of Object.keys(schemas.types).sort()) {
  const type = goTypes.get(name);
  if (!type) continue;
  const fields: Record<string, MergeKeys> = {};
  for (const [field, keys] of fieldsOf(name)) {
    if (!schemas.types[name]?.fields[field]) continue;
    const inner = Array.isArray(keys.apply) ? goTypes.get(elementType(name, field)) : undefined;
    const defaults = (Array.isArray(keys.apply) ? keys.apply : []).flatMap((key) => {
      const value = inner?.defaults.get(key);
      return value === undefined ? [] : [[key, value] as const];
    });
    fields[field] = { ...keys, ...(defaults.length > 0 ? { defaults: Object.fromEntries(defaults) } : {}) };
  }
  if (type.atomic || Object.keys(fields).length > 0) {
    types[name] = { ...(type.atomic ? { atomic: true } : {}), ...(Object.keys(fields).length > 0 ? { fields } : {}) };
  }
}

function elementType(name: string, field: string): string {
  const type = goTypes.get(name);
  const own = type?.types.get(field);
  return own ?? type?.inline.map((inner) => elementType(inner, field)).find(Boolean) ?? '';
}

const source = [api, machinery].map((path) => `k8s.io/${basename(path)}`).join(', ');
const lines = Object.entries(types).map(([name, type]) => `${JSON.stringify(name)}:${JSON.stringify(type)}`);
const data = `{"source":${JSON.stringify(source)},"types":{\n${lines.join(',\n')}\n}}\n`;
writeFileSync(join(generated, 'merge-keys.json'), data);
