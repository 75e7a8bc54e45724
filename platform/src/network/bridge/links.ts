/** Network devices of the host, through iproute2. Owns no state: what is there is read from the kernel. */
import { readFile } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { run } from '../../base/child.ts';
import { Coalescer } from './coalesce.ts';
import { CommandShell } from './command-shell.ts';
import { parseAddress, type Subnet } from './subnet.ts';

/** Names of all devices in this network namespace. From /proc, since /sys may show another namespace's. */
export async function deviceList(): Promise<Set<string>> {
  const lines = (await readFile('/proc/self/net/dev', 'utf8')).split('\n').slice(2);
  return new Set(lines.map((line) => line.slice(0, line.indexOf(':')).trim()).filter(Boolean));
}

/** One caller's `ip` commands, without the word ip; done in order, the rest is skipped after a failure. */
export type LinkCommands = string[];

const shell = new CommandShell();
const batches = new Coalescer<LinkCommands>(runBatch);

/** Runs `ip` commands, together with those of other callers in one process. Throws InternalError with iproute2's words. */
export const changeLinks = (commands: LinkCommands): Promise<void> => batches.run(commands);

async function runBatch(items: LinkCommands[]): Promise<(Error | undefined)[]> {
  const lines = items.flat();
  const { code, output } = await shell.run('ip -force -batch -', lines.join('\n'));
  const failures = failuresByLine(output);
  if (code !== 0 && failures.size === 0) throw new SampanError('InternalError', `ip: ${output.trim().slice(0, 500)}`);
  let line = 0;
  return items.map((commands) => {
    const failed = commands.map((command) => ({ command, words: failures.get(++line) })).find((one) => one.words);
    return failed && new SampanError('InternalError', `ip ${failed.command}: ${failed.words}`);
  });
}

/** `ip -force -batch` prints the reason, then "Command failed -:LINE". */
function failuresByLine(output: string): Map<number, string> {
  const failures = new Map<number, string>();
  let words: string[] = [];
  for (const text of output.split('\n')) {
    const line = /^Command failed -:(\d+)/.exec(text)?.[1];
    if (!line) words.push(text);
    else {
      failures.set(Number(line), words.join(' ').trim() || 'failed');
      words = [];
    }
  }
  return failures;
}

const routesSchema = z.array(
  z.looseObject({ dst: z.string(), dev: z.string().optional(), type: z.string().optional() }),
);

/** Every IPv4 block the host routes somewhere, but for the default route and what goes to `exceptDevice`. */
export async function routedSubnets(exceptDevice: string): Promise<Subnet[]> {
  const { stdout } = await run('ip', ['-4', '-j', 'route', 'show', 'table', 'all']);
  return routesSchema
    .parse(JSON.parse(stdout || '[]'))
    .filter((route) => route.dev !== exceptDevice && route.dst !== 'default')
    .flatMap(({ dst }) => subnetsOf(dst));
}

/** Blocks wider than /8 are a VPN's way to say "default": they claim no address in particular. */
function subnetsOf(dst: string): Subnet[] {
  const [address = '', length = '32'] = dst.split('/');
  return Number(length) < 8 ? [] : [{ base: parseAddress(address), prefixLength: Number(length) }];
}

/** MTU of the device that the default route leaves by; 1500 where there is none. */
export async function uplinkMtu(): Promise<number> {
  const { stdout } = await run('ip', ['-4', '-j', 'route', 'show', 'default']);
  const device = routesSchema.parse(JSON.parse(stdout || '[]'))[0]?.dev;
  if (!device) return 1500;
  const link = await run('ip', ['-j', 'link', 'show', 'dev', device]);
  const schema = z.array(z.looseObject({ mtu: z.number().int() })).min(1);
  return Math.min(1500, schema.parse(JSON.parse(link.stdout))[0]?.mtu ?? 1500);
}

const addressesSchema = z.array(
  z.looseObject({ addr_info: z.array(z.looseObject({ local: z.string(), prefixlen: z.number().int() })).optional() }),
);

/** IPv4 addresses of a device, as a.b.c.d/n. */
export async function addressesOf(device: string): Promise<string[]> {
  const { stdout } = await run('ip', ['-4', '-j', 'address', 'show', 'dev', device]);
  const infos = addressesSchema.parse(JSON.parse(stdout || '[]')).flatMap((link) => link.addr_info ?? []);
  return infos.map((info) => `${info.local}/${info.prefixlen}`);
}
