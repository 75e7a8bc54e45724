/**
 * Writes platform/src/apiserver/generated/protobuf-tags.json: the number each field of our kinds has in Kubernetes' protobuf encoding.
 *
 * Run at development time: `cargo info k8s-pb@0.9.0 && node tools/generate-protobuf-tags.ts <sources of that crate>`. The crate (k8s-pb of kube-rs)
 * carries the upstream numbers as prost attributes. Types and JSON names come from api/src/generated/schemas.json. CustomResourceDefinitions
 * are not in the crate: their numbers come from generated.proto of the Go module k8s.io/apiextensions-apiserver (v0.33.4), as
 * `go mod download -json` unpacks it; its directory is the second argument.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SchemaData } from '../api/src/schema/schema-data.ts';

const crate = process.argv[2];
const extensions = process.argv[3];
if (!crate || !extensions) {
  throw new Error(
    'usage: node tools/generate-protobuf-tags.ts <directory of the k8s-pb crate> <directory of k8s.io/apiextensions-apiserver>',
  );
}
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const output = join(root, 'platform/src/apiserver/generated/protobuf-tags.json');

const sources = new Map<string, string>();

/** The generated Rust of a group version such as `core/v1` or `authentication.k8s.io/v1`. */
async function sourceOf(groupVersion: string): Promise<string> {
  const [group = '', version = ''] = groupVersion.split('/');
  const folder = group === 'meta' ? 'apimachinery/pkg/apis/meta' : `api/${group.split('.')[0]}`;
  const path = join(crate!, 'src', folder, version, 'mod.rs');
  let text = sources.get(path);
  if (text === undefined) {
    const proto = join(extensions!, 'pkg/apis/apiextensions', version, 'generated.proto');
    // A group that neither carries has no numbers: its kinds are read as JSON alone.
    text = await readFile(group === 'apiextensions.k8s.io' ? proto : path, 'utf8').catch(() => '');
    sources.set(path, text);
  }
  return text;
}

interface RustField {
  tag: number;
  name: string;
  type: string;
}

/** A struct's fields; prost writes HTTPGetAction as HttpGetAction, so case does not count. */
function fieldsIn(source: string, type: string): RustField[] {
  if (source.includes('syntax = "proto2"')) return messageFields(source, type);
  const body = new RegExp(`pub struct ${type} \\{([\\s\\S]*?)\\n\\}`, 'i').exec(source)?.[1] ?? '';
  const pattern = /tag = "(\d+)"[^\n]*\n\s*pub (?:r#)?(\w+):\s*([^\n]*)/g;
  return [...body.matchAll(pattern)].map(([, tag, name, type = '']) => ({
    tag: Number(tag),
    name: name!,
    type: /(?:<|^|::)(\w+)>*,?$/.exec(type)?.[1] ?? '',
  }));
}

/** The same out of a .proto. */
function messageFields(source: string, type: string): RustField[] {
  const body = new RegExp(`\\nmessage ${type} \\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1] ?? '';
  const pattern = /^ {2}(?:optional |repeated |map<)([^=]*?)>? (\w+) = (\d+);/gm;
  return [...body.matchAll(pattern)].map(([, of = '', name, tag]) => ({
    tag: Number(tag),
    name: name!,
    type: of.split('.').at(-1)!,
  }));
}

/** Number to JSON name; what Go embeds is a message on the wire, and so a table of its own here. */
interface Tags {
  [number: number]: string | Tags;
}

function tagsOf(source: string, type: string, fields: ReadonlyMap<string, string>, found: Set<string>): Tags {
  const tags: Tags = {};
  for (const { tag, name, type: inner } of fieldsIn(source, type)) {
    const field = fields.get(plain(name));
    if (field) {
      tags[tag] = field;
      found.add(field);
    } else {
      const embedded = tagsOf(source, inner, fields, found);
      if (Object.keys(embedded).length > 0) tags[tag] = embedded;
    }
  }
  return tags;
}

const plain = (name: string) => name.replaceAll(/[_$-]/g, '').toLowerCase();

const { types } = JSON.parse(await readFile(join(root, 'api/src/generated/schemas.json'), 'utf8')) as SchemaData;
const tags: Record<string, Tags> = {};
const missing: string[] = [];
for (const [name, { fields }] of Object.entries(types)) {
  const dot = name.lastIndexOf('.');
  const byPlainName = new Map(Object.keys(fields).map((field) => [plain(field), field]));
  const found = new Set<string>();
  const source = await sourceOf(name.slice(0, dot));
  if (source === '') continue;
  tags[name] = tagsOf(source, name.slice(dot + 1), byPlainName, found);
  for (const field of Object.keys(fields)) {
    // kind and apiVersion of whole objects travel in the envelope.
    if (!found.has(field) && field !== 'kind' && field !== 'apiVersion') missing.push(`${name}.${field}`);
  }
}

const lines = Object.entries(tags).map(([name, own]) => `${JSON.stringify(name)}:${JSON.stringify(own)}`);
await writeFile(output, `{\n${lines.join(',\n')}\n}\n`);
console.log(`${lines.length} types; without a number: ${missing.join(', ') || 'none'}`);
