/**
 * Holds an object against its kind's structure, as decoding into the Go type would: values of the wrong type, and fields that are not there.
 * null stands for absent everywhere, as it does in Go.
 */
import { quantityFormatMessage, tryParseQuantity } from '../quantity.ts';
import { parseTime } from '../time.ts';
import { goType, jsonKind } from './go-types.ts';
import { type FieldType, type Scalar, structType } from './schema.ts';

export interface StructureProblems {
  /** At most one: Go reports the first. */
  wrongTypes: string[];
  /** Paths such as `spec.containers[0].imagee`. */
  unknownFields: string[];
}

/** Where a value stands. `keys` has no indexes, as Go's messages have none; `path` has them. */
interface Place {
  struct: string;
  field: string;
  keys: string;
  path: string;
}

/** Deeper nesting than any kind has; JSON that exceeds it is refused before it can exhaust the stack. */
const maxDepth = 64;

export function checkStructure(typeName: string, object: unknown): StructureProblems {
  const walk = new StructureWalk();
  const name = shortName(typeName);
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    walk.wrong(`json: cannot unmarshal ${jsonKind(object)} into Go value of type ${typeName.split('/').at(-1)}`);
  } else walk.struct(typeName, object, { struct: name, field: '', keys: '', path: '' }, 0);
  return { wrongTypes: walk.wrongTypes, unknownFields: walk.unknownFields };
}

const shortName = (typeName: string) => typeName.slice(typeName.lastIndexOf('.') + 1);

class StructureWalk {
  readonly wrongTypes: string[] = [];
  readonly unknownFields: string[] = [];

  wrong(message: string): void {
    if (this.wrongTypes.length === 0) this.wrongTypes.push(message);
  }

  struct(typeName: string, value: object, place: Place, depth: number): void {
    if (depth > maxDepth) {
      this.wrong('json: exceeded max depth');
      return;
    }
    const { fields } = structType(typeName);
    for (const [field, member] of Object.entries(value)) {
      const path = place.path ? `${place.path}.${field}` : field;
      const type = fields.get(field);
      if (!type) this.unknownFields.push(path);
      else {
        const keys = place.keys ? `${place.keys}.${field}` : field;
        this.value(type, member, { struct: shortName(typeName), field, keys, path }, depth + 1);
      }
    }
  }

  value(type: FieldType, value: unknown, place: Place, depth: number): void {
    if (value === null || value === undefined) return;
    if (type.form === 'scalar') this.scalar(type.scalar, value, place);
    else if (Array.isArray(value) !== (type.form === 'array') || typeof value !== 'object') {
      this.mismatch(type, value, place);
    } else if (type.form === 'struct') this.struct(type.name, value, place, depth);
    else {
      for (const [key, member] of Object.entries(value)) {
        const path = type.form === 'array' ? `${place.path}[${key}]` : `${place.path}.${key}`;
        this.value(type.of, member, { ...place, path }, depth);
      }
    }
  }

  mismatch(type: FieldType, value: unknown, place: Place, shown = jsonKind(value)): void {
    const target = `${place.struct}.${place.keys}`;
    this.wrong(
      `json: cannot unmarshal ${shown} into Go struct field ${target} of type ${goType(type, place.struct, place.field)}`,
    );
  }

  scalar(scalar: Scalar, value: unknown, place: Place): void {
    const message = scalarProblem(scalar, value);
    if (message === undefined) return;
    if (message) this.wrong(message);
    else {
      const isBadNumber = typeof value === 'number' && (scalar === 'int32' || scalar === 'int64');
      this.mismatch({ form: 'scalar', scalar }, value, place, isBadNumber ? `number ${value}` : undefined);
    }
  }
}

/** undefined: fits. '': the usual message of a mismatch. Else the message that type's own decoder gives. */
function scalarProblem(scalar: Scalar, value: unknown): string | undefined {
  const is = (fits: boolean) => (fits ? undefined : '');
  switch (scalar) {
    case 'any':
      return undefined;
    case 'string':
      return is(typeof value === 'string');
    case 'bool':
      return is(typeof value === 'boolean');
    case 'int32':
      return is(Number.isInteger(value) && Math.abs(value as number) <= 2_147_483_647);
    case 'int64':
      return is(Number.isInteger(value) && Math.abs(value as number) < 2 ** 63);
    case 'float64':
      return is(typeof value === 'number');
    case 'bytes':
      if (typeof value !== 'string') return '';
      return base64Problem(value);
    case 'time':
    case 'microtime':
      return timeProblem(scalar, value);
    case 'quantity':
      return tryParseQuantity(value) ? undefined : quantityFormatMessage;
    case 'intorstr':
      if (typeof value === 'string' || (Number.isInteger(value) && Math.abs(value as number) <= 2_147_483_647))
        return undefined;
      return `json: cannot unmarshal ${jsonKind(value)} into Go value of type int32`;
  }
}

function timeProblem(scalar: 'time' | 'microtime', value: unknown): string | undefined {
  if (typeof value !== 'string') return `json: cannot unmarshal ${jsonKind(value)} into Go value of type string`;
  if (parseTime(value) !== undefined) return undefined;
  const layout = scalar === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
  return `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)} as "2006"`;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function base64Problem(value: string): string | undefined {
  const text = value.replace(/[\r\n]/g, '');
  if (base64.test(text)) return undefined;
  const bad = /[^A-Za-z0-9+/]/.exec(text)?.index;
  return `illegal base64 data at input byte ${bad ?? Math.max(0, text.length - (text.length % 4))}`;
}
