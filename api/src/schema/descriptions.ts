/** What Kubernetes' documentation says of types and fields: large, and nobody's but OpenAPI's, so it is read when it is first asked for. */

/** Of a type (''), or of a field of it. */
export type Descriptions = Record<string, Record<string, string>>;

export async function readDescriptions(): Promise<Descriptions> {
  const { default: words } = await import('../generated/descriptions.json', { with: { type: 'json' } });
  return words as unknown as Descriptions;
}
