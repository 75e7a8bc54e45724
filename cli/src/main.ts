/** The `sampan` command: parses the command line and hands over to one file a command under commands/. */
import { Command } from 'commander';
import { clusterCommands } from './commands/cluster.ts';
import { platformCommands } from './commands/platform.ts';
import { report, watchOutput } from './failure.ts';
import { refuseOtherWord } from './other-words.ts';
import { toolPath } from './setup/tool-path.ts';

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
  ./sampan up --demo                           set up, start, run a demo Pod
  ./sampan run --rm -it localhost/demo -- sh   a shell in a VM of its own
  kubectl --kubeconfig $(./sampan kubeconfig) get pods
  ./sampan doctor                              what this machine can do

Environment:
  SAMPAN_HOME    where this instance keeps its state (default /var/lib/sampan)
  SAMPAN_LISTEN  where its API listens (default 127.0.0.1:6443)`,
  );

platformCommands(program);
clusterCommands(program);
for (const command of program.commands) {
  const of = command.name() === 'run' ? '; what run has no option for goes into a manifest: --dry-run writes one' : '';
  command.showHelpAfterError(`(./sampan ${command.name()} --help shows its options${of})`);
}

// The shell of a plain `su` lacks the directories where nft, ip and mkfs.ext4 are.
process.env.PATH = toolPath();
watchOutput();
try {
  refuseOtherWord(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
