/** The tag an image reference names; `latest` when it names neither tag nor digest, undefined when only a digest. */
function imageTag(image: string): string | undefined {
  const [name = '', digest] = image.split('@');
  const tag = /:([^:/]+)$/.exec(name)?.[1];
  return tag ?? (digest === undefined ? 'latest' : undefined);
}

/** What imagePullPolicy is when nobody says: latest may have moved, anything else is taken as it is. */
export function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  return imageTag(image) === 'latest' ? 'Always' : 'IfNotPresent';
}
