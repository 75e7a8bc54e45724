/**
 * Everything on this host that belongs to an instance: processes, devices, network namespaces, firewall rules, mounts, loop devices, control groups, sockets,
 * files. A test looks at it twice: what is there after everything was removed and was not there before was leaked.
 *
 * What belongs to an instance is told by its directories and its tag, never by the name of a program: others' machines run beside it.
 */
import { execFileSync } from 'node:child_process';
import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './wait.ts';

export interface Swept {
  run: string;
  home: string;
  tag: string;
}

/** Templates, parked clones and caches stay between machines; logs, images and a test's root directory are the instance's own. */
const keeps = /^(?:vmm|templates?|pool|rehearsal|images|logs?|network|shim|rootfs|node-compile-cache)(?:\/|$)|\.log$/;

/** Made when they are first needed; what is in them counts. */
const places = new Set(['shares']);

/** One line each, the same line for the same thing at another time. */
export function holdings(instance: Swept): string[] {
  return [
    ...processes(instance),
    ...devices(instance),
    ...firewall(instance),
    ...mounts(instance),
    ...loops(instance),
    ...cgroups(instance),
    ...sockets(instance),
    ...files(instance),
  ].sort();
}

/** What there is now and was not `before`, each as often as it is too many. */
function leaked(instance: Swept, before: string[]): string[] {
  const known = [...before];
  return holdings(instance).filter((one) => {
    const index = known.indexOf(one);
    if (index >= 0) known.splice(index, 1);
    return index < 0;
  });
}

/** What is leaked still when `withinMs` are over, or nothing: what goes a moment later, as by the kernel's hand, is waited for. `but` is no leak. */
export async function lastingLeaks(
  instance: Swept,
  before: string[],
  { withinMs = 5_000, but }: { withinMs?: number; but?: RegExp } = {},
): Promise<string[]> {
  const isLeak = (one: string) => !but?.test(one);
  const left = () => leaked(instance, before).filter(isLeak);
  await until('nothing is left', async () => left().length === 0, withinMs).catch(() => {});
  return left();
}

const owns = ({ run, home }: Swept, path: string) =>
  [run, home].some((root) => path === root || path.startsWith(`${root}/`));
const names = ({ run, home, tag }: Swept, text: string) =>
  [run, home, `sampan-${tag}`].some((one) => text.includes(one));

/** By command line, control group, or an open file or directory of the instance. This process and those that only look are not counted. */
function processes(instance: Swept): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const line = readOr(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    const isTest = /--test|node_modules/.test(line);
    if (line === '' || isTest) continue;
    const groups = readOr(`/proc/${pid}/cgroup`);
    const links = ['cwd', 'root', ...listOr(`/proc/${pid}/fd`).map((fd) => `fd/${fd}`)];
    const holds = () => links.some((link) => owns(instance, linkOr(`/proc/${pid}/${link}`)));
    if (names(instance, line) || groups.includes(`sampan-${instance.tag}`) || holds())
      found.push(`process ${line.slice(0, 1000)}`);
  }
  return found;
}

/** Of the host's namespace, and named namespaces. */
function devices({ tag }: Swept): string[] {
  const links = readdirSync('/sys/class/net').filter((name) => name.includes(tag));
  const spaces = ['/run/netns', '/var/run/netns'].flatMap(listOr).filter((name) => name.includes(tag));
  return [...links.map((name) => `device ${name}`), ...new Set(spaces.map((name) => `netns ${name}`))];
}

/** The instance's own tables, rule by rule without counters and handles, and rules of others' that carry its mark. */
function firewall({ tag }: Swept): string[] {
  let rules = '';
  try {
    rules = execFileSync('nft', ['-s', 'list', 'ruleset'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    // No nft: no rules.
  }
  const found: string[] = [];
  let table = '';
  for (const line of rules.split('\n')) {
    table = /^table (\S+ \S+)/.exec(line)?.[1] ?? table;
    if (line.trim() && (table.includes(tag) || line.includes(tag))) found.push(`rule ${table}: ${line.trim()}`);
  }
  return found;
}

function mounts(instance: Swept): string[] {
  return readOr('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => owns(instance, target))
    .map((target) => `mount ${target}`);
}

function loops(instance: Swept): string[] {
  return readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .map((name) => readOr(`/sys/block/${name}/loop/backing_file`).trim())
    .filter((file) => owns(instance, file))
    .map((file) => `loop device over ${file}`);
}

/** Below the instance's own group in every hierarchy, and whatever carries its name beneath others'. */
export function cgroups({ tag }: Pick<Swept, 'tag'>): string[] {
  const below = (path: string): string[] =>
    directoriesOr(path).flatMap((name) => [join(path, name), ...below(join(path, name))]);
  return below('/sys/fs/cgroup')
    .filter((path) => path.includes(`/sampan-${tag}/`) || path.includes(`/sampan-${tag}-`))
    .map((path) => `cgroup ${path}`);
}

function sockets(instance: Swept): string[] {
  return readOr('/proc/net/unix')
    .split('\n')
    .map((line) => line.split(' ').at(-1) ?? '')
    .filter((path) => owns(instance, path) && !/\/(?:shim|network)\//.test(path))
    .map((path) => `socket ${path}`);
}

/** Of the run directory, and of what Pods leave in the home. */
function files({ run, home }: Swept): string[] {
  const roots = [run, home, join(home, 'images/pins')];
  return [...new Set(roots.flatMap((root) => below(root, '')))].map((path) => `file ${path}`);
}

/** Links are not followed: they lead out of what is ours. */
function below(root: string, directory: string): string[] {
  let entries: Dirent[] = [];
  try {
    entries = readdirSync(join(root, directory), { withFileTypes: true });
  } catch {
    // Gone meanwhile.
  }
  return entries.flatMap((entry) => {
    const name = join(directory, entry.name);
    if (keeps.test(name)) return [];
    const own = places.has(name) ? [] : [join(root, name)];
    return [...own, ...(entry.isDirectory() ? below(root, name) : [])];
  });
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Groups of others come and go while we look. */
function directoriesOr(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

function listOr(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOr(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
