/** config.json of a bundle (runtime-spec 1.x), parsed and bounded as far as the translation looks at it; the rest is crun's to judge. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';

const maxBytes = 4 * 1024 * 1024;
const text = z.string().max(65_536);
const name = z.string().max(4096);
const texts = z.array(text).max(65_536);

const mount = z.looseObject({
  destination: name,
  type: name.optional(),
  source: name.optional(),
  options: z.array(name).max(256).nullish(),
});

const namespace = z.looseObject({ type: z.string().max(32), path: name.optional() });

const processSchema = z.looseObject({
  args: texts.nullish(),
  env: texts.nullish(),
  cwd: name.optional(),
  terminal: z.boolean().optional(),
  apparmorProfile: name.optional(),
  selinuxLabel: name.optional(),
});

/** int64, which may be more than is exact here. */
const number = z.number().refine(Number.isInteger, 'is no whole number').nullish();
const resources = z.looseObject({
  cpu: z.looseObject({ quota: number, period: number }).nullish(),
  memory: z.looseObject({ limit: number }).nullish(),
});

const linux = z.looseObject({
  namespaces: z.array(namespace).max(32).nullish(),
  devices: z
    .array(z.looseObject({ path: name, type: z.string().max(8).optional() }))
    .max(4096)
    .nullish(),
  resources: resources.nullish(),
  sysctl: z.record(z.string().max(256), z.string().max(4096)).nullish(),
  uidMappings: z.array(z.unknown()).max(1024).nullish(),
  gidMappings: z.array(z.unknown()).max(1024).nullish(),
  mountLabel: name.optional(),
  cgroupsPath: name.optional(),
  rootfsPropagation: z.string().max(32).optional(),
});

/** Words of a program's: the kernel ends them at the first zero byte. */
const word = text.refine((value) => !value.includes('\0'), 'has a zero byte');

/** One program of "POSIX-platform Hooks" (runtime-spec, config.md). */
const hook = z.object({
  path: name.refine((value) => value.startsWith('/') && !value.includes('\0'), 'a hook has an absolute path'),
  args: z.array(word).max(1024).nullish(),
  env: z
    .array(word.refine((value) => value.indexOf('=') > 0, 'is not NAME=VALUE'))
    .max(4096)
    .nullish(),
  /** Seconds. */
  timeout: z.number().int().positive('must be greater than zero').max(86_400).nullish(),
});

const configSchema = z.looseObject({
  ociVersion: z.string().max(64),
  process: processSchema,
  root: z.looseObject({ path: name.optional(), readonly: z.boolean().optional() }).nullish(),
  hostname: z.string().max(253).optional(),
  mounts: z.array(mount).max(4096).nullish(),
  hooks: z.record(z.string().max(64), z.array(hook).max(64).nullish()).nullish(),
  annotations: z.record(z.string().max(4096), text).nullish(),
  linux: linux.nullish(),
});

export type OciConfig = z.infer<typeof configSchema>;
export type OciMount = z.infer<typeof mount>;
export type OciHook = z.infer<typeof hook>;

/** Of what is well said and cannot be kept. */
export function refused(field: string, why: string): SampanError {
  return new SampanError('Unsupported', `config.json: ${field}: ${why}`);
}

/** Throws Invalid naming what is wrong. */
export function parseOciConfig(source: string): OciConfig {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new SampanError('Invalid', `config.json is no JSON: ${(error as Error).message}`);
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new SampanError('Invalid', `config.json: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (!/^1\.\d/.test(parsed.data.ociVersion))
    throw new SampanError('Invalid', `config.json: ociVersion ${parsed.data.ociVersion}; this runtime speaks 1.x`);
  return parsed.data;
}

/** Reads <bundle>/config.json. Throws Invalid or NotFound naming the file. */
export async function readOciConfig(bundle: string): Promise<OciConfig> {
  const path = join(bundle, 'config.json');
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new SampanError('NotFound', `bundle ${bundle}: cannot read config.json: ${error.code}`);
  });
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new SampanError('Invalid', `${path} has ${size} bytes; at most ${maxBytes} are read`);
    return parseOciConfig(await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}
