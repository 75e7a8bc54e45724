/**
 * Kubernetes' resource.Quantity: an exact number with a suffix, and its canonical text.
 *
 * Values are held in billionths, the finest a quantity can be; anything finer is rounded away from zero, as apimachinery does.
 */

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

const nanosPerUnit = 10n ** 9n;
const grammar = /^([+-]?)(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/;
const decimalSuffixes: Record<string, number> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binarySuffixes: Record<string, bigint> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/** The sentence of apimachinery's ErrFormatWrong. */
export const quantityFormatMessage =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

export class Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;

  constructor(nanos: bigint, format: QuantityFormat = 'DecimalSI') {
    this.nanos = nanos;
    this.format = format;
  }

  /** Throws RangeError with Kubernetes' sentence. A JSON number is taken as its digits. */
  static parse(text: string | number): Quantity {
    const match = grammar.exec(String(text).trim());
    if (!match || String(text).length > 100) throw new RangeError(quantityFormatMessage);
    const [, sign, number = '', suffix = ''] = match;
    const [whole = '', fraction = ''] = number.split('.');
    const digits = BigInt(`${whole}${fraction}` || '0') * (sign === '-' ? -1n : 1n);
    const binary = binarySuffixes[suffix];
    if (binary !== undefined) {
      const nanos = divideAwayFromZero((digits * nanosPerUnit) << binary, 10n ** BigInt(fraction.length));
      return new Quantity(nanos, 'BinarySI');
    }
    const isExponent = /^[eE][+-]?\d/.test(suffix);
    const exponent = isExponent ? Number(suffix.slice(1)) : decimalSuffixes[suffix]!;
    if (Math.abs(exponent) > 100) throw new RangeError(quantityFormatMessage);
    const scale = 9 + exponent - fraction.length;
    const nanos = scale >= 0 ? digits * 10n ** BigInt(scale) : divideAwayFromZero(digits, 10n ** BigInt(-scale));
    return new Quantity(nanos, isExponent ? 'DecimalExponent' : 'DecimalSI');
  }

  /** In whole units, rounded up: bytes of memory, numbers of things. */
  value(): number {
    return Number(divideUp(this.nanos, nanosPerUnit));
  }

  /** In thousandths, rounded up: CPU in millicores. */
  milliValue(): number {
    return Number(divideUp(this.nanos, 1_000_000n));
  }

  /** Rounded up to thousandths, as every resource list is. */
  roundedToMilli(): Quantity {
    return new Quantity(divideUp(this.nanos, 1_000_000n) * 1_000_000n, this.format);
  }

  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.nanos === 0n ? other.format : this.format);
  }

  subtract(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.nanos === 0n ? other.format : this.format);
  }

  /** Negative, zero or positive, as for Array.sort. */
  compare(other: Quantity): number {
    return this.nanos < other.nanos ? -1 : this.nanos > other.nanos ? 1 : 0;
  }

  isZero(): boolean {
    return this.nanos === 0n;
  }

  /** The canonical text: no fraction, the largest suffix that keeps every digit. */
  toString(): string {
    const small = this.nanos > -1024n * nanosPerUnit && this.nanos < 1024n * nanosPerUnit;
    if (this.format === 'BinarySI' && !small) return this.#binaryText();
    if (this.nanos === 0n) return '0';
    let mantissa = this.nanos;
    let exponent = -9;
    while (mantissa % 1000n === 0n && exponent < 18) {
      mantissa /= 1000n;
      exponent += 3;
    }
    if (this.format === 'DecimalExponent') return `${mantissa}${exponent === 0 ? '' : `e${exponent}`}`;
    const suffix = Object.keys(decimalSuffixes).find((key) => decimalSuffixes[key] === exponent);
    return `${mantissa}${suffix}`;
  }

  #binaryText(): string {
    let mantissa = divideAwayFromZero(this.nanos, nanosPerUnit);
    let step = 0;
    while (mantissa % 1024n === 0n && step < 6) {
      mantissa /= 1024n;
      step += 1;
    }
    return `${mantissa}${['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'][step]}`;
  }
}

export function tryParseQuantity(text: unknown): Quantity | undefined {
  if (typeof text !== 'string' && typeof text !== 'number') return undefined;
  try {
    return Quantity.parse(text);
  } catch {
    return undefined;
  }
}

function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value > 0n && value % by !== 0n ? quotient + 1n : quotient;
}

function divideAwayFromZero(value: bigint, by: bigint): bigint {
  return value < 0n ? -divideUp(-value, by) : divideUp(value, by);
}
