/**
 * Network configurations as CNI's specification (0.3.0 to 1.1.0, section 1) has them on disk. Owns no state: the first file by name that is one
 * decides, and what an attachment was made with is remembered beside it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';

/** A plugin's type is a file name in the plugins' directories, and nothing else. */
const pluginSchema = z.looseObject({
  type: z.string().regex(/^[\w][\w.-]{0,127}$/, 'a plugin type is a file name'),
  capabilities: z.record(z.string(), z.boolean()).optional(),
});

const nameSchema = z
  .string()
  .regex(/^[a-zA-Z0-9][\w.-]{0,127}$/, 'a network name is letters, digits, ".", "_" and "-"');

export const chainSchema = z.object({
  cniVersion: z.enum(['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']),
  name: nameSchema,
  disableCheck: z.boolean().optional(),
  disableGC: z.boolean().optional(),
  plugins: z.array(pluginSchema).min(1).max(32),
});

export type PluginConfig = z.infer<typeof pluginSchema>;
/** A network: its plugins in the order in which ADD runs them. */
export type Chain = z.infer<typeof chainSchema>;

/** What runs for it: itself, and the plugin that it has give the addresses. */
export function programsOf(plugin: PluginConfig): string[] {
  const { type } = (plugin.ipam ?? {}) as { type?: unknown };
  return typeof type === 'string' && type !== '' ? [plugin.type, type] : [plugin.type];
}

const maxFileBytes = 1 << 20;

/** Reads .conflist, .conf and .json files of the directory. Throws FailedPrecondition when none of them is a network, with each one's fault. */
export async function loadChain(directory: string): Promise<Chain> {
  const names = (await readdir(directory).catch((): string[] => [])).filter((name) =>
    /\.(conflist|conf|json)$/.test(name),
  );
  const faults: string[] = [];
  for (const name of names.sort()) {
    try {
      return parseChain(await readFile(join(directory, name), 'utf8'), name.endsWith('.conflist'));
    } catch (error) {
      faults.push(`${name}: ${messageOf(error)}`);
    }
  }
  const why = faults.length > 0 ? faults.join('; ') : 'there is no .conflist, .conf or .json file';
  throw new SampanError('FailedPrecondition', `no CNI network in ${directory}: ${why.slice(0, 2000)}`);
}

/** A file of one plugin is a chain of one. Throws Invalid naming the field. */
export function parseChain(text: string, isList: boolean): Chain {
  if (text.length > maxFileBytes) throw new SampanError('Invalid', `over ${maxFileBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SampanError('Invalid', `not JSON: ${messageOf(error)}`);
  }
  const parsed = chainSchema.safeParse(isList ? value : chainOfOne(value));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SampanError('Invalid', `${issue?.path.join('.')}: ${issue?.message}`);
}

function chainOfOne(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { cniVersion, name, ...plugin } = value as Record<string, unknown>;
  return { cniVersion, name, plugins: [plugin] };
}
