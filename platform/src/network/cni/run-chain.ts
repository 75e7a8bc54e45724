/** Runs a chain of plugins for one sandbox (CNI specification, section 3). Owns no state: what ADD gave is handed in again. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Chain, PluginConfig } from './cni-config.ts';
import { type CniCommand, runPlugin } from './cni-plugin.ts';
import { type CniResult, resultSchema } from './cni-result.ts';

export interface ChainRun {
  chain: Chain;
  /** Where plugins are looked for. */
  path: readonly string[];
  containerId: string;
  /** Absent: it is gone already (DEL only). */
  netnsPath?: string;
  interfaceName: string;
  /** CNI_ARGS. */
  args: string;
  /** What each capability is given, for the plugins that declare it. */
  capabilities: Record<string, unknown>;
}

/**
 * The last plugin's result. On error the caller runs DEL: some plugins have done their part. `keep` has what came so far on disk before the
 * next plugin runs: some undo nothing for those who cannot say what there was.
 */
export async function addToNetwork(run: ChainRun, keep: (result: CniResult) => Promise<void>): Promise<CniResult> {
  let result: CniResult | undefined;
  for (const plugin of run.chain.plugins) {
    const printed = await call(run, 'ADD', plugin, result);
    const parsed = resultSchema.safeParse(printed);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const words = `CNI plugin ${plugin.type}, ADD: its result is none: ${issue?.path.join('.')}: ${issue?.message}`;
      throw new SampanError('InternalError', words);
    }
    result = parsed.data;
    await keep(result);
  }
  return result!;
}

/** Backwards, and to the end: a plugin that fails does not keep the others from cleaning up. Throws the first failure. */
export async function removeFromNetwork(run: ChainRun, result: CniResult | undefined): Promise<void> {
  const failures: unknown[] = [];
  for (const plugin of [...run.chain.plugins].reverse()) {
    await call(run, 'DEL', plugin, result).catch((error) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

/** Throws InternalError with the words of the plugin that finds its work undone; configurations may forbid to ask, and 0.3 cannot. */
export async function checkNetwork(run: ChainRun, result: CniResult): Promise<void> {
  if (run.chain.disableCheck || run.chain.cniVersion.startsWith('0.3')) return;
  for (const plugin of run.chain.plugins) await call(run, 'CHECK', plugin, result);
}

/** 1.1: tells the plugins what is attached, so that they let go of everything else. Returns what went wrong. */
export async function collectGarbage(run: Pick<ChainRun, 'chain' | 'path'>, attached: string[]): Promise<string[]> {
  if (run.chain.cniVersion !== '1.1.0' || run.chain.disableGC) return [];
  const valid = attached.map((containerID) => ({ containerID, ifname: podInterface }));
  return callEach(run, 'GC', { 'cni.dev/valid-attachments': valid });
}

/** 1.1: why the network cannot take a Pod now; empty when it can. */
export const networkFaults = (run: Pick<ChainRun, 'chain' | 'path'>): Promise<string[]> =>
  run.chain.cniVersion === '1.1.0' ? callEach(run, 'STATUS', {}) : Promise.resolve([]);

/** Kubernetes knows one interface of a Pod. */
export const podInterface = 'eth0';

async function callEach(
  { chain, path }: Pick<ChainRun, 'chain' | 'path'>,
  command: CniCommand,
  more: object,
): Promise<string[]> {
  const { cniVersion, name } = chain;
  const faults: string[] = [];
  for (const { capabilities: _, ...plugin } of chain.plugins)
    await runPlugin({ command, type: plugin.type, path, config: { ...plugin, cniVersion, name, ...more } }).catch(
      (error) => faults.push(messageOf(error)),
    );
  return faults;
}

function call(run: ChainRun, command: CniCommand, plugin: PluginConfig, prevResult: CniResult | undefined) {
  const { containerId, netnsPath, interfaceName, args } = run;
  return runPlugin({
    ...{ command, type: plugin.type, path: run.path },
    config: pluginConfig(run, plugin, prevResult),
    sandbox: { containerId, netnsPath, interfaceName, args },
  });
}

/** The configuration a plugin is given: the list's name and version, its capabilities' values, the result of those before it. Pure. */
function pluginConfig(run: ChainRun, plugin: PluginConfig, prevResult: CniResult | undefined): object {
  const { capabilities = {}, ...own } = plugin;
  const wanted = Object.entries(run.capabilities).filter(([name, value]) => capabilities[name] && value !== undefined);
  return {
    ...own,
    cniVersion: run.chain.cniVersion,
    name: run.chain.name,
    ...(wanted.length > 0 ? { runtimeConfig: Object.fromEntries(wanted) } : {}),
    ...(prevResult ? { prevResult } : {}),
  };
}
