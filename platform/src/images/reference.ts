/** Names of images, normalised as Docker does (distribution/reference): `nginx` is `docker.io/library/nginx:latest`. */
import { SampanError } from '@sampan/api/errors.ts';

export interface Reference {
  /** Host with optional port: `docker.io`, `127.0.0.1:5000`. */
  registry: string;
  /** Path in the registry: `library/nginx`. */
  repository: string;
  tag?: string;
  /** When given it wins over the tag. */
  digest?: string;
}

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const host =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^sha256:[0-9a-f]{64}$/;
const maxNameLength = 255;

/** Throws Invalid saying what is wrong with the name. Without tag and digest the tag is `latest`. */
export function parseReference(text: string): Reference {
  const bad = (why: string) => new SampanError('Invalid', `image name ${JSON.stringify(text.slice(0, 300))}: ${why}`);
  if (text === '' || text.length > 600) throw bad('it has to be 1 to 600 characters long');
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !digestPattern.test(digest))
    throw bad('the part after @ has to be sha256: and 64 hex digits');
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag))
    throw bad('the tag has to be letters, digits, "_", "." and "-", at most 128');
  const { registry, repository } = splitName(hasTag ? named.slice(0, colon) : named);
  if (!host.test(registry)) throw bad(`${JSON.stringify(registry)} is not a registry's host`);
  if (repository.length > maxNameLength) throw bad(`the name is longer than ${maxNameLength} characters`);
  if (!repository.split('/').every((part) => component.test(part))) {
    throw bad('a name is lower-case letters and digits, parted by "/", and by ".", "_" or "-" within');
  }
  const reference: Reference = { registry, repository };
  if (digest) reference.digest = digest;
  if (tag) reference.tag = tag;
  else if (!digest) reference.tag = 'latest';
  return reference;
}

/** The first part is a host when it looks like one; else everything is a name on Docker's registry. */
function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = first !== '' && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const registry = isHost ? (first === 'index.docker.io' ? 'docker.io' : first) : 'docker.io';
  const rest = isHost ? name.slice(slash + 1) : name;
  return { registry, repository: registry === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest };
}

export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** `registry/repo:tag`, or undefined when the reference is by digest alone. */
export function taggedName(reference: Reference): string | undefined {
  return reference.tag ? `${repositoryName(reference)}:${reference.tag}` : undefined;
}

export function digestedName(reference: Reference, digest: string): string {
  return `${repositoryName(reference)}@${digest}`;
}

/** The whole normalised reference. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag ? `:${reference.tag}` : '';
  const digest = reference.digest ? `@${reference.digest}` : '';
  return `${repositoryName(reference)}${tag}${digest}`;
}

/** The hex of an image id or of a prefix of one that is long enough to mean it; undefined when `text` is no id. */
export function imageIdPrefix(text: string): string | undefined {
  const match = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(text);
  return match?.[1];
}
