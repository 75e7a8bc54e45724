/** Everything the command may send, bounded and parsed. */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';

const text = z.string().max(65_536);
const path = z.string().min(1).max(4096);
const signal = z.number().int().min(0).max(64);
const pid = z.number().int().min(1).max(4_194_304);

/** runc's rule for ids. */
const id = z
  .string()
  .max(1024)
  .regex(/^[\w+.-]+$/, 'is no id of a container')
  .refine((value) => value !== '.' && value !== '..', 'is no id of a container');

const named = z.object({ root: path, id });

const processSchema = z.looseObject({
  args: z.array(text).min(1).max(65_536),
  env: z.array(text).max(65_536).nullish(),
  cwd: path.optional(),
  terminal: z.boolean().optional(),
  /** Made of flags: what it does not say is as the container's own process has it. */
  inherit: z.boolean().optional(),
  /** Besides those that it, or the container's own process, has. */
  moreCapabilities: z.array(z.string().max(64)).max(64).optional(),
  apparmorProfile: z.string().max(4096).optional(),
  selinuxLabel: z.string().max(4096).optional(),
});

export const requests = {
  named,
  /** `handler` by the name that the runtime was called by. */
  create: named.extend({ bundle: path, pid, handler: z.enum(['vm', 'namespace']).optional() }),
  exec: named.extend({ process: processSchema, pid }),
  hold: named.extend({ pid, process: z.unknown().optional() }),
  kill: named.extend({ signal, all: z.boolean() }),
  delete: named.extend({ force: z.boolean() }),
  ps: named.extend({ format: z.enum(['table', 'json']) }),
  list: z.object({ root: path, format: z.enum(['table', 'json']), quiet: z.boolean() }),
  update: named.extend({ resources: z.record(z.string().max(64), z.unknown()) }),
  events: named.extend({ stats: z.boolean(), intervalMs: z.number().int().min(100).max(1_000_000_000) }),
  stdio: z.object({ stdio: z.object({ stdin: path.optional(), stdout: path.optional(), stderr: path.optional() }) }),
  /** What a holder says while it holds. */
  said: z.union([
    z.object({ signal }),
    z.object({
      resize: z.object({ columns: z.number().int().min(1).max(65_535), rows: z.number().int().min(1).max(65_535) }),
    }),
  ]),
};

export type ExecProcess = z.infer<typeof processSchema>;

export function parseRequest(value: unknown): { method: string; params: unknown } {
  return parse(z.object({ method: z.string().max(64), params: z.unknown() }), value);
}

/** Throws Invalid naming the field. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new SampanError('Invalid', `${issue?.path.join('.') || 'the request'}: ${issue?.message}`);
}
