/** /healthz, /livez and /readyz: whether the server lives, and whether it can answer for the store. */

import { messageOf } from '@sampan/api/errors.ts';
import type { VerbContext } from '../verbs/context.ts';

interface Check {
  name: string;
  run(): Promise<void>;
}

export interface HealthAnswer {
  code: number;
  text: string;
}

/** `path` is /livez or /readyz/<check>; undefined when there is no such check. */
export async function health(
  context: VerbContext,
  path: string,
  query: URLSearchParams,
): Promise<HealthAnswer | undefined> {
  const [, probe = '', only] = path.split('/');
  const checks = checksOf(context, probe).filter(({ name }) => !only || name === only);
  if (checks.length === 0) return undefined;
  const excluded = query.getAll('exclude');
  const lines: string[] = [];
  let failed = false;
  for (const { name, run } of checks) {
    if (excluded.includes(name)) {
      lines.push(`[+]${name} excluded: ok`);
      continue;
    }
    try {
      await run();
      lines.push(`[+]${name} ok`);
    } catch (error) {
      failed = true;
      lines.push(`[-]${name} failed: ${messageOf(error)}`);
    }
  }
  if (failed) return { code: 500, text: `${lines.join('\n')}\n${probe} check failed\n` };
  return { code: 200, text: query.has('verbose') ? `${lines.join('\n')}\n${probe} check passed\n` : 'ok' };
}

function checksOf({ cache, store }: VerbContext, probe: string): Check[] {
  const ping = { name: 'ping', async run() {} };
  if (probe === 'livez') return [ping];
  return [
    ping,
    { name: 'store', run: async () => void (await store.revision()) },
    { name: 'watch-cache', run: () => cache.fresh() },
  ];
}
