/** Values of `format` in schemas that are checked (kube-openapi strfmt). Others are only words for the reader, as they are to Kubernetes. */
import { isIpAddress, isIpv6 } from '../names.ts';
import { parseTime } from '../time.ts';

type Check = (value: string) => boolean;

const matches =
  (pattern: RegExp): Check =>
  (value) =>
    pattern.test(value);
const isIpv4: Check = (value) => isIpAddress(value) && !isIpv6(value);
const uuid = (version: string) =>
  matches(new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i'));

const stringFormats: Record<string, Check> = {
  'date-time': (value) => parseTime(value) !== undefined,
  datetime: (value) => parseTime(value) !== undefined,
  date: isDate,
  duration: matches(
    /^\s*-?\d+(?:\.\d+)?\s*(?:ns|us|µs|ms|s|m|h|d|w)(?:\s*\d+(?:\.\d+)?\s*(?:ns|us|µs|ms|s|m|h|d|w))*\s*$/,
  ),
  ipv4: isIpv4,
  ipv6: isIpv6,
  cidr: isCidr,
  mac: matches(/^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i),
  uri: (value) => URL.canParse(value) || /^\/\S*$/.test(value),
  email: matches(/^[^\s@<>]{1,64}@[^\s@<>]{1,255}$/),
  hostname: matches(
    /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*\.?$/i,
  ),
  byte: matches(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/),
  hexcolor: matches(/^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i),
  uuid: uuid('[0-9a-f]'),
  uuid3: uuid('3'),
  uuid4: uuid('4'),
  uuid5: uuid('5'),
};

/** True where the format is not one that is checked. */
export function fitsFormat(value: unknown, format: string): boolean {
  if (typeof value === 'number') {
    if (format === 'int32') return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;
    if (format === 'int64') return Number.isInteger(value) && Math.abs(value) <= 2 ** 63;
    return true;
  }
  const check = typeof value === 'string' && Object.hasOwn(stringFormats, format) ? stringFormats[format] : undefined;
  return check ? check(value as string) : true;
}

function isDate(value: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(value) && new Date(`${value}T00:00:00Z`).toJSON()?.slice(0, 10) === value;
}

function isCidr(value: string): boolean {
  const [address = '', bits = '', more] = value.split('/');
  if (more !== undefined || !isIpAddress(address) || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (isIpv6(address) ? 128 : 32);
}
