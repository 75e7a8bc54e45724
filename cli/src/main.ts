/** The `sampan` command: parses the command line and hands over to one file a command under commands/. */
import { Command } from 'commander';
import { clusterCommands } from './commands/cluster.ts';
import { platformCommands } from './commands/platform.ts';
import { report, watchOutput } from './failure.ts';

const program = new Command('sampan')
  .description('Runs standard Kubernetes Pods, each in a small VM of its own, on this machine.')
  .version('0.1.0')
  .showHelpAfterError('(run ./sampan --help to see the commands)')
  .configureHelp({ sortSubcommands: false })
  .enablePositionalOptions()
  .addHelpText(
    'after',
    `
Examples:
  ./sampan up --demo                           set up, start, run a demo Pod and show its log
  ./sampan run --rm -it localhost/demo -- sh   a shell in a VM of its own, gone when you leave
  kubectl --kubeconfig $(./sampan kubeconfig) get pods
  ./sampan doctor                              what this machine can and cannot do

Environment:
  SAMPAN_HOME    where this instance keeps its state (default /var/lib/sampan)
  SAMPAN_LISTEN  where its API listens (default 127.0.0.1:6443)`,
  );

platformCommands(program);
clusterCommands(program);

watchOutput();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
