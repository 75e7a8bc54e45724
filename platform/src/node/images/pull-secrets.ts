/** Which credentials a Pod's imagePullSecrets hold for an image: kubelet's keyring. */
import type { Secret } from 'kubernetes-types/core/v1.js';
import { z } from 'zod';
import type { AuthConfig } from '../../runtime/generated/cri.ts';
import type { ImageName } from './image-name.ts';

const maxSecretBytes = 1024 * 1024;

const entrySchema = z
  .object({
    username: z.string(),
    password: z.string(),
    auth: z.string(),
    identitytoken: z.string(),
    registrytoken: z.string(),
  })
  .partial();
const authsSchema = z.record(z.string(), entrySchema);
const configSchema = z.object({ auths: authsSchema });

/** A secret of another type, or one that cannot be read, holds none. The most specific first. */
export function credentialsFor(image: ImageName, secrets: Secret[]): AuthConfig[] {
  const entries = secrets.flatMap((secret) => Object.entries(authsOf(secret)));
  return entries
    .filter(([key]) => matches(key, image))
    .sort(([a], [b]) => b.length - a.length)
    .map(([key, entry]) => toAuth(key, entry));
}

function authsOf(secret: Secret): z.infer<typeof authsSchema> {
  const data = secret.data ?? {};
  const [key, schema] =
    secret.type === 'kubernetes.io/dockercfg'
      ? (['.dockercfg', authsSchema] as const)
      : (['.dockerconfigjson', configSchema.transform((config) => config.auths)] as const);
  const text = Buffer.from(data[key] ?? '', 'base64');
  if (text.length === 0 || text.length > maxSecretBytes) return {};
  try {
    return schema.parse(JSON.parse(text.toString('utf8')));
  } catch {
    return {};
  }
}

function toAuth(key: string, entry: z.infer<typeof entrySchema>): AuthConfig {
  const decoded = Buffer.from(entry.auth ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return {
    username: entry.username ?? (colon > 0 ? decoded.slice(0, colon) : ''),
    password: entry.password ?? (colon > 0 ? decoded.slice(colon + 1) : ''),
    auth: '',
    serverAddress: key,
    identityToken: entry.identitytoken ?? '',
    registryToken: entry.registrytoken ?? '',
  };
}

/** A key is a registry, perhaps with `*` for a part of the host, perhaps with a path that the repository has to lie under. */
function matches(key: string, image: ImageName): boolean {
  const bare = key.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const [hostKey = '', ...path] = bare.split('/');
  const isHub = ['docker.io', 'index.docker.io', 'registry-1.docker.io'].includes(hostKey);
  if (isHub) return image.registry === 'docker.io' && (path.join('/') === 'v1' || underPath(path, image.repository));
  return hostMatches(hostKey, image.registry) && underPath(path, image.repository);
}

function hostMatches(pattern: string, host: string): boolean {
  const [wanted, wantedPort] = splitPort(pattern);
  const [name, port] = splitPort(host);
  const wantedParts = wanted.split('.');
  const parts = name.split('.');
  if (wantedPort !== port || wantedParts.length !== parts.length) return false;
  return wantedParts.every((part, index) => globMatches(part, parts[index]!));
}

const splitPort = (host: string): [string, string] => {
  const match = /^(.*?)(?::(\d+))?$/.exec(host);
  return [match?.[1] ?? host, match?.[2] ?? ''];
};

function globMatches(pattern: string, text: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^.]*');
  return new RegExp(`^${source}$`).test(text);
}

/** `v1` and `v2` at the front are parts of old registry URLs, not of a repository. */
function underPath(path: string[], repository: string): boolean {
  const wanted = /^v[12]$/.test(path[0] ?? '') ? path.slice(1) : path;
  const prefix = wanted.join('/');
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`);
}
