/** The process behind `sampan runtime`, whoever started it: containerd and Podman start it anew where it is gone. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type CliInstance, processStartTime } from '../instance.ts';
import type { RunningProcess } from './server-process.ts';

/** What it writes for the OCI command line, of which only this is read here. */
const ociFile = z.object({ pid: z.number().int().positive() });

/** Where it keeps what it makes: beside the platform of the same home, in an instance of its own. */
export const runtimeHome = (instance: CliInstance): string => join(instance.home, 'runtime');

/** Undefined when none runs. A process with its number that is another is told by its command line. */
export async function runningRuntime(instance: CliInstance): Promise<RunningProcess | undefined> {
  try {
    const { pid } = ociFile.parse(JSON.parse(await readFile(join(instance.home, 'oci.json'), 'utf8')));
    const startTime = await processStartTime(pid);
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    return startTime !== undefined && words.includes('runtime-service.ts') ? { pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}
