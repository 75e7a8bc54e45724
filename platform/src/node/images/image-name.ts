/** The parts of an image's name (distribution's reference grammar), as far as the node needs them: is it one, and which registry is it from. */

export interface ImageName {
  /** Host and perhaps port: `docker.io` where the name says none. */
  registry: string;
  repository: string;
  tag?: string;
  digest?: string;
}

const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const host =
  '(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?';
const grammar = new RegExp(
  `^(?:(?<host>${host})/)?(?<path>${component}(?:/${component})*)(?::(?<tag>[\\w][\\w.-]{0,127}))?(?:@(?<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?$`,
);
const longestName = 255;

/** Undefined when it is no image name. */
export function parseImageName(text: string): ImageName | undefined {
  const match = grammar.exec(text);
  if (!match?.groups || text.length > longestName + 200) return undefined;
  const { host: first, path = '', tag, digest } = match.groups;
  // What stands before the first slash is a registry only if it looks like one: `nginx/nginx` is a path.
  const isRegistry = first !== undefined && /[.:]|^localhost$/.test(first);
  const full = isRegistry || first === undefined ? path : `${first}/${path}`;
  if (!isRegistry && full !== full.toLowerCase()) return undefined;
  const registry = isRegistry ? first : 'docker.io';
  const repository = registry === 'docker.io' && !full.includes('/') ? `library/${full}` : full;
  return { registry, repository, ...(tag ? { tag } : {}), ...(digest ? { digest } : {}) };
}
