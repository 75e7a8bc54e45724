/** `sampan up`: packages, guest, launcher, server; then, with --demo, a Pod. A second `up` finds all of it done. */
import { Listr, type ListrTask } from 'listr2';
import { connect } from '../connect.ts';
import { Failure } from '../failure.ts';
import { type CliInstance, currentInstance, kubeconfigPath, runningServer, type ServerInfo } from '../instance.ts';
import { type Artifact, artifacts, buildArtifact } from '../setup/artifacts.ts';
import { uncordon } from '../setup/cordon.ts';
import { type NetworkOptions, networkEnvironment } from '../setup/network-options.ts';
import { installPackages, missingPackages, type PackageNeed, runtimePackages } from '../setup/packages.ts';
import { startServer } from '../setup/server-process.ts';
import { shellWord } from '../shell-words.ts';

interface Context {
  artifacts: Artifact[];
  server?: ServerInfo;
}

export interface UpOptions extends NetworkOptions {
  demo?: boolean;
}

export async function up(options: UpOptions): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Failure('sampan up needs root', { why: 'it makes bridges, taps and cgroups', mend: 'run it with sudo' });
  }
  Object.assign(process.env, networkEnvironment(options));
  const instance = currentInstance();
  const already = await runningServer(instance);
  if (already && options.cni && already.network !== 'cni')
    throw new Failure('sampan up --cni: the server runs already', {
      why: `its Pods are on the network "${already.network}"`,
      mend: 'take them down first (./sampan down --pods), then say it again',
    });
  const context: Context = { artifacts: await prepare(runtimePackages) };
  if (!already) {
    await new Listr<Context>(
      [
        {
          title: 'Starting the platform',
          task: async (ctx) => {
            ctx.server = await startServer(instance, ctx.artifacts);
          },
        },
      ],
      listrOptions,
    ).run(context);
  }
  const server = context.server ?? already!;
  await uncordon(await connect(instance), server.nodeName);
  process.stdout.write(`\nSampan ${already ? 'already runs' : 'runs'} at ${server.url} (node ${server.nodeName}).\n`);
  if (options.demo) await (await import('../demo/demo.ts')).demo(instance);
  process.stdout.write(nextSteps(kubeconfigPath(instance), Boolean(options.demo)));
}

const listrOptions = {
  rendererOptions: { collapseSubtasks: false },
  fallbackRenderer: 'simple' as const,
};

/** Runs the steps that make this machine ready: shared by up, test and bench. `quiet` leaves stdout alone; `noMachines`: packages will do. */
export async function prepare(
  needs: PackageNeed[],
  options: { quiet?: boolean; noMachines?: boolean } = {},
): Promise<Artifact[]> {
  const context: Context = { artifacts: [] };
  const tasks = [packagesTask(needs), ...(options.noMachines ? [] : [artifactsTask(currentInstance())])];
  if (options.quiet)
    await new Listr<Context, 'silent'>(tasks as ListrTask<Context, never>[], { renderer: 'silent' }).run(context);
  else await new Listr<Context>(tasks, listrOptions).run(context);
  return context.artifacts;
}

function packagesTask(needs: PackageNeed[]): ListrTask<Context> {
  return {
    title: 'Packages',
    task: async (_, task) => {
      const missing = await missingPackages(needs);
      if (missing.length === 0) {
        task.title = 'Packages: all there';
        return;
      }
      task.title = `Installing ${missing.map((need) => need.name).join(', ')}`;
      await installPackages(missing, (line) => {
        task.output = line;
      });
    },
  };
}

function artifactsTask(instance: CliInstance): ListrTask<Context> {
  return {
    title: 'Guest and launcher',
    task: async (context, task) => {
      context.artifacts = await artifacts(instance);
      for (const artifact of context.artifacts.filter((one) => !one.built)) {
        task.title = `Building ${artifact.name === 'guest' ? 'the guest: kernel, miniOS, agent' : 'the VMM launcher'} (once)`;
        await buildArtifact(instance, artifact, (line) => {
          task.output = line;
        });
      }
      task.title = 'Guest and launcher: ready';
    },
  };
}

function nextSteps(kubeconfig: string, withDemo: boolean): string {
  const demo = withDemo ? '' : '  ./sampan up --demo                           brings the image of the examples\n';
  return `
How to go on:
  export KUBECONFIG=${shellWord(kubeconfig)}
  kubectl get pods -A                          any Kubernetes client works
${demo}  kubectl apply -f examples/hello.yaml         a Pod in its own VM
  ./sampan run --rm -it localhost/demo -- sh   a shell in a fresh VM
  ./sampan ps                                  what runs
  ./sampan down                                stop (--pods also stops Pods)
`;
}
