/** What every lab with a process of ours needs: its environment, how the process is called, and how its instance is torn down. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { currentInstance } from '../../../../cli/src/instance.ts';
import { artifacts } from '../../../../cli/src/setup/artifacts.ts';
import { serverFlags } from '../../../../cli/src/setup/server-process.ts';
import { type CommandResult, command } from './command.ts';

const programs = join(import.meta.dirname, '../../../src/cmd');

/** With the guest and the host's programs that this run of the tests has built; `more` goes on top. */
export async function labEnvironment(home: string, more: NodeJS.ProcessEnv = {}): Promise<NodeJS.ProcessEnv> {
  const built = await artifacts(currentInstance());
  const directoryOf = (what: string) => built.find(({ name }) => name === what)!.directory;
  return {
    ...process.env,
    SAMPAN_HOME: home,
    SAMPAN_GUEST_DIR: process.env.SAMPAN_GUEST_DIR ?? directoryOf('guest'),
    SAMPAN_HOST_DIR: process.env.SAMPAN_HOST_DIR ?? directoryOf('host'),
    PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
    ...more,
  };
}

/** Behind Node's name: its flags and a program of `cmd/`. */
export const ownProgram = (name: 'cri' | 'runtime-service' | 'server'): string[] => [
  ...serverFlags,
  join(programs, `${name}.ts`),
];

/** As a service that has run here before leaves it: from this, the first OCI command starts it. */
export async function leaveOciService(home: string, env: NodeJS.ProcessEnv): Promise<void> {
  const start = [process.execPath, ...ownProgram('runtime-service')];
  const environment = Object.fromEntries(Object.entries(env).filter(([key]) => /^(SAMPAN_|PATH$)/.test(key)));
  await writeFile(join(home, 'oci.json'), JSON.stringify({ socket: join(home, 'nobody'), start, environment }));
}

/** Takes away whatever the instance of this environment has on the host. */
export const tearDown = (env: NodeJS.ProcessEnv): Promise<CommandResult> =>
  command(process.execPath, ['--disable-warning=ExperimentalWarning', join(programs, 'teardown.ts')], { env });
