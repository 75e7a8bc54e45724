/** Runs one plugin once (CNI specification, sections 2 to 4). Owns the child process for as long as it runs. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { run } from '../../base/child.ts';

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS';

export interface PluginCall {
  command: CniCommand;
  type: string;
  /** Where plugins are looked for, in that order. */
  path: readonly string[];
  /** The plugin's configuration with everything the runtime adds. */
  config: object;
  /** All but GC and STATUS. */
  sandbox?: { containerId: string; netnsPath?: string; interfaceName: string; args: string };
}

/** iptables and DHCP may be slow; nothing is that slow. */
const timeoutMs = 60_000;
const anyCode = Array.from({ length: 256 }, (_, code) => code);

const errorSchema = z.looseObject({
  code: z.number().int(),
  msg: z.string().max(4096),
  details: z.string().max(4096).optional(),
});

/** What the plugin printed, as JSON; undefined when it printed nothing. Throws InternalError with the plugin's words, FailedPrecondition when it is not there. */
export async function runPlugin(call: PluginCall): Promise<unknown> {
  const program = await findPlugin(call.type, call.path);
  const { sandbox } = call;
  const env = {
    // Plugins run iptables and the like.
    PATH: `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    CNI_COMMAND: call.command,
    CNI_PATH: call.path.join(':'),
    ...(sandbox
      ? { CNI_CONTAINERID: sandbox.containerId, CNI_IFNAME: sandbox.interfaceName, CNI_ARGS: sandbox.args }
      : {}),
    ...(sandbox?.netnsPath ? { CNI_NETNS: sandbox.netnsPath } : {}),
  };
  const { code, stdout, stderr } = await run(program, [], {
    ...{ env, timeoutMs, okCodes: anyCode, withGroup: true },
    input: JSON.stringify(call.config),
  });
  const printed = parseOutput(stdout);
  if (code === 0) return printed;
  const told = errorSchema.safeParse(printed);
  const words = told.success
    ? `${told.data.msg}${told.data.details ? `: ${told.data.details}` : ''} (code ${told.data.code})`
    : (stderr || stdout || `exit ${code}`).trim().slice(-500);
  // host-local's words; the specification has no code for it.
  const reason = /no IP addresses available/.test(words) ? 'ResourceExhausted' : 'InternalError';
  throw new SampanError(reason, `CNI plugin ${call.type}, ${call.command}: ${words}`);
}

function parseOutput(text: string): unknown {
  try {
    return text.trim() ? JSON.parse(text) : undefined;
  } catch {
    return text;
  }
}

/** Throws FailedPrecondition naming it when it is in none of the directories. */
export async function findPlugin(type: string, path: readonly string[]): Promise<string> {
  for (const directory of path) {
    const program = join(directory, type);
    if (
      await access(program, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return program;
  }
  throw new SampanError('FailedPrecondition', `there is no CNI plugin ${type} in ${path.join(', ')}`);
}
