/**
 * Names: which are legal, and Kubernetes' sentences about those that are not (apimachinery util/validation). Each check returns the sentences,
 * none when the value is good.
 */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const envName = '[-._a-zA-Z][-._a-zA-Z0-9]*';
const configKey = '[-._a-zA-Z0-9]+';
const headerName = '[-A-Za-z0-9]+';

const whole = (pattern: string) => new RegExp(`^${pattern}$`);
const patterns = {
  label: whole(label),
  subdomain: whole(subdomain),
  qualified: whole(qualified),
  labelValue: whole(`(${qualified})?`),
  envName: whole(envName),
  configKey: whole(configKey),
  headerName: whole(headerName),
};

export const maxLengthMessage = (length: number) => `must be no more than ${length} characters`;
export const rangeMessage = (low: number, high: number) => `must be between ${low} and ${high}, inclusive`;

/** The tail that names examples and the pattern. */
export function patternMessage(sentence: string, pattern: string, ...examples: string[]): string {
  const list = examples.map((example) => `'${example}'`).join(',  or ');
  return `${sentence} (${list ? `e.g. ${list}, ` : ''}regex used for validation is '${pattern}')`;
}

export function dnsLabelProblems(value: string): string[] {
  const problems = tooLongProblems(value, 63);
  if (patterns.label.test(value)) return problems;
  if (patterns.subdomain.test(value)) return [...problems, 'must not contain dots'];
  const sentence =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  return [...problems, patternMessage(sentence, label, 'my-name', '123-abc')];
}

/** RFC 1035: as a DNS label, but it begins with a letter (names of Services). */
export function dns1035Problems(value: string): string[] {
  const problems = tooLongProblems(value, 63);
  const pattern = '[a-z]([-a-z0-9]*[a-z0-9])?';
  if (whole(pattern).test(value)) return problems;
  const sentence =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
  return [...problems, patternMessage(sentence, pattern, 'my-name', 'abc-123')];
}

export function dnsSubdomainProblems(value: string): string[] {
  const problems = tooLongProblems(value, 253);
  if (patterns.subdomain.test(value)) return problems;
  const sentence =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [...problems, patternMessage(sentence, subdomain, 'example.com')];
}

/** A label or annotation key, a finalizer, a condition type: `name` or `prefix/name`. */
export function qualifiedNameProblems(value: string): string[] {
  const sentence =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  const examples = ['MyName', 'my.name', '123-abc'];
  const parts = value.split('/');
  const name = parts.at(-1)!;
  if (parts.length > 2) {
    const message = patternMessage(`a qualified name ${sentence}`, qualified, ...examples);
    return [`${message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const problems: string[] = [];
  if (parts.length === 2) {
    if (parts[0] === '') problems.push('prefix part must be non-empty');
    else problems.push(...dnsSubdomainProblems(parts[0]!).map((message) => `prefix part ${message}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  else problems.push(...tooLongProblems(name, 63).map((message) => `name part ${message}`));
  if (!patterns.qualified.test(name)) problems.push(`name part ${patternMessage(sentence, qualified, ...examples)}`);
  return problems;
}

export function labelValueProblems(value: string): string[] {
  const problems = tooLongProblems(value, 63);
  if (patterns.labelValue.test(value)) return problems;
  const sentence =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  return [...problems, patternMessage(sentence, `(${qualified})?`, 'MyValue', 'my_value', '12345')];
}

export function configKeyProblems(value: string): string[] {
  const problems = tooLongProblems(value, 253);
  if (!patterns.configKey.test(value)) {
    const sentence = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    problems.push(patternMessage(sentence, configKey, 'key.name', 'KEY_NAME', 'key-name'));
  }
  return [...problems, ...dotPrefixProblems(value)];
}

/** Any printable ASCII but '=', as Kubernetes has it since 1.32. */
export function envNameProblems(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty'];
  if (/^[\x20-\x3c\x3e-\x7e]+$/.test(value)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

export function headerNameProblems(value: string): string[] {
  if (patterns.headerName.test(value)) return [];
  const sentence = "a valid HTTP header must consist of alphanumeric characters or '-'";
  return [patternMessage(sentence, headerName, 'X-Header-Name')];
}

/** IANA service names: a port's name. */
export function portNameProblems(value: string): string[] {
  const problems = tooLongProblems(value, 15);
  if (!/^[-a-z0-9]+$/.test(value)) {
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)');
  if (value.includes('--')) problems.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen');
  return problems;
}

export function portNumberProblems(value: number): string[] {
  return value >= 1 && value <= 65535 ? [] : [rangeMessage(1, 65535)];
}

/** Names that could climb out of the directory they are written to. */
function dotPrefixProblems(value: string): string[] {
  if (value === '.') return ["must not be '.'"];
  if (value === '..') return ["must not be '..'"];
  return value.startsWith('..') ? ["must not start with '..'"] : [];
}

function tooLongProblems(value: string, max: number): string[] {
  return new TextEncoder().encode(value).length > max ? [maxLengthMessage(max)] : [];
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** IPv4 in four plain decimals, or IPv6 (without a zone). */
export function isIpAddress(value: string): boolean {
  return ipv4.test(value) || isIpv6(value);
}

export function isIpv6(value: string): boolean {
  const embedded = /^(.*:)([\d.]+)$/.exec(value);
  if (embedded && !ipv4.test(embedded[2]!)) return /^[\da-f]{1,4}$/i.test(embedded[2]!) && isHexGroups(value);
  return isHexGroups(embedded ? `${embedded[1]}0:0` : value);
}

function isHexGroups(value: string): boolean {
  const halves = value.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return false;
  return halves.length === 2 ? groups.length <= 7 : groups.length === 8;
}

export function ipProblems(value: string): string[] {
  return isIpAddress(value) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
}

/** A search domain: a subdomain whose labels may begin with an underscore. */
export function searchDomainProblems(value: string): string[] {
  const part = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
  const problems = tooLongProblems(value, 253);
  if (whole(`${part}(\\.${part})*`).test(value)) return problems;
  const sentence =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
  return [...problems, patternMessage(sentence, `${part}(\\.${part})*`, 'example.com')];
}
