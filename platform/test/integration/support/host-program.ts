/** The path of one of the host's own programs, as ./sampan test has built it. */
import { join } from 'node:path';
import { currentInstance } from '../../../../cli/src/instance.ts';
import { artifacts } from '../../../../cli/src/setup/artifacts.ts';

export async function hostProgram(name: string): Promise<string> {
  if (process.env.SAMPAN_HOST_DIR) return join(process.env.SAMPAN_HOST_DIR, name);
  const built = (await artifacts(currentInstance())).find((artifact) => artifact.name === 'host')!;
  if (!built.built) throw new Error('the host programs are not built: run ./sampan test, which builds them');
  return join(built.directory, name);
}
