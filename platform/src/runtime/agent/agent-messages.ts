/** What a guest may say, as schemas: nothing of an answer or event is used before it was parsed by one of these. */
import { httpStatusOf, type Reason, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { firstWindowBytes } from './receive-window.ts';

const words = z.string().max(4096);
const id = z.string().min(1).max(200);
const count = z.number().int().nonnegative();
const nanos = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);

export const helloSchema = z.object({
  protocol: z.literal(1),
  agent: z.string().max(64),
  /** Agents from before it was told keep the first window. */
  largestWindow: z.number().int().min(firstWindowBytes).max(0xffff_ffff).default(firstWindowBytes),
});

const exitSchema = z.object({
  exitCode: z.number().int().min(0).max(255),
  signal: z.number().int().min(0).max(64),
  reason: z.enum(['Completed', 'Error', 'OOMKilled', 'StartError']),
  startedAtUnixNanos: nanos,
  finishedAtUnixNanos: nanos,
  message: words.transform(printable),
});

export const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('exited'), containerId: id, exit: exitSchema }),
  z.object({ type: z.literal('oom'), containerId: id }),
]);

const userId = z.number().int().min(0).max(0xffff_ffff);
/** An agent that has the container already, and one that was to resolve nobody, tell none. */
export const createdSchema = z
  .object({ user: z.object({ uid: userId, gid: userId, groups: z.array(userId).max(65_536) }).optional() })
  .nullish();

export const startedSchema = z.object({ startedAtUnixNanos: nanos, pid: count.optional() });

export const containersSchema = z
  .array(
    z.object({
      id,
      state: z.enum(['created', 'running', 'exited']),
      pid: count,
      startedAtUnixNanos: nanos,
      exit: exitSchema.nullable().transform((exit) => exit ?? undefined),
    }),
  )
  .max(10_000);

export const statsSchema = z.object({
  containers: z
    .array(
      z.object({
        id,
        cpuNanos: nanos,
        memoryWorkingSetBytes: count,
        memoryUsageBytes: count,
        memoryRssBytes: count,
        pageFaults: count,
        majorPageFaults: count,
        pids: count,
        rootfsUsedBytes: count,
        rootfsInodes: count,
      }),
    )
    .max(10_000),
  memoryTotalBytes: count,
  memoryAvailableBytes: count,
  cpuNanos: nanos,
  scratch: z.object({ totalBytes: count, usedBytes: count, inodesUsed: count }),
  volumes: z.array(z.object({ id, usedBytes: count, inodes: count })).max(10_000),
  network: z.object({ rxBytes: nanos, txBytes: nanos, rxErrors: nanos, txErrors: nanos }),
});

export const readySchema = z.object({ pid: count });

export const processesSchema = z.array(count).max(40_000);

/** A connection has no process. */
export const sessionSchema = z.object({ pid: count.optional() }).nullish();

/** How a stream ended; an output's has nothing to tell. */
export const closeSchema = z.object({
  exitCode: z.number().int().min(0).max(255).default(0),
  signal: z.number().int().min(0).max(64).default(0),
});

export const answerSchema = z.union([
  z.object({ error: z.object({ reason: z.string().max(64), message: words }) }),
  z.object({ ok: z.unknown() }),
]);

/** A guest's complaint as an error of ours: a reason we do not know is an InternalError. */
export function errorFromGuest(error: { reason: string; message: string }): SampanError {
  const reason = error.reason in httpStatusOf ? (error.reason as Reason) : 'InternalError';
  return new SampanError(reason, printable(error.message));
}

/** Text of the guest's ends up in logs, events and terminals: no control characters but line ends. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ');
}
