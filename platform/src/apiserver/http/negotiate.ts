/** What the client wants back: JSON or YAML, and the object itself, a Table or its metadata alone. */
import { SampanError } from '@sampan/api/errors.ts';

export interface MediaRange {
  type: string;
  parameters: Record<string, string>;
}

/** How objects are shown. */
export interface Representation {
  format: 'json' | 'yaml';
  as: 'Object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** Of meta.k8s.io. */
  version: string;
}

const plain: Representation = { format: 'json', as: 'Object', version: 'v1' };

/** Ranges in the client's order of preference. */
export function parseAccept(header: string | undefined): MediaRange[] {
  if (!header) return [{ type: '*/*', parameters: {} }];
  const ranges = header.split(',').map((range) => {
    const [type = '', ...rest] = range.split(';').map((part) => part.trim());
    const parameters = Object.fromEntries(
      rest.map((part) => {
        const [name = '', value = ''] = part.split('=');
        return [name.toLowerCase(), value];
      }),
    );
    return { type: type.toLowerCase(), parameters };
  });
  const quality = ({ parameters }: MediaRange) => Number(parameters.q ?? 1);
  return ranges.filter((range) => quality(range) > 0).sort((a, b) => quality(b) - quality(a));
}

/** Throws NotAcceptable when nothing the client takes is something this server can write; `wholeOnly`: no Table, no metadata alone. */
export function representationOf(accept: string | undefined, wholeOnly = false): Representation {
  for (const { type, parameters } of parseAccept(accept)) {
    const format = formatOf(type);
    if (!format) continue;
    const { as, v: version = 'v1', g: group } = parameters;
    if (!as) return { ...plain, format };
    if (wholeOnly) continue;
    const known = as === 'Table' || as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList';
    if (known && group === 'meta.k8s.io' && (version === 'v1' || version === 'v1beta1')) return { format, as, version };
  }
  throw notAcceptable();
}

export function notAcceptable(): SampanError {
  const message = 'only the following media types are accepted: application/json, application/yaml';
  return new SampanError('NotAcceptable', message);
}

export function formatOf(type: string): 'json' | 'yaml' | undefined {
  if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'json';
  if (type === 'application/yaml') return 'yaml';
  return undefined;
}
