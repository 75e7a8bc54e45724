/** Commands that use the API as any client would: run, ps, logs, exec, rm, image. */
import { type Command, Option } from 'commander';
import { Failure } from '../failure.ts';

/** Options after the first word belong to the container; the `--` that says so does not. Without it they are more likely meant for us. */
function withoutDashes(words: string[]): string[] {
  if (words[0] === '--') return words.slice(1);
  if (words[0]?.startsWith('-'))
    throw new Failure(`"${words[0]}" stands too late`, {
      why: 'options come before the name, and what the container runs comes behind --',
      mend: `write ${words[0]} before the name, or -- before ${words[0]}`,
    });
  return words;
}

const collect = (value: string, all: string[] = []): string[] => [...all, value];

export function clusterCommands(program: Command): void {
  runCommand(program);
  psCommand(program);
  logsCommand(program);
  execCommand(program);
  rmCommand(program);
  imageCommands(program.command('image').description('images on this node'));
}

function runCommand(program: Command): void {
  program
    .command('run')
    .description("run an image in a VM of its own and show its output; the exit code is the container's")
    .argument('<image>')
    .argument('[command...]', "after --: instead of the image's own command")
    .option('--rm', 'remove the Pod when it ends')
    .option('-i, --interactive', 'keep stdin open')
    .option('-t, --tty', 'give it a terminal')
    .option('-d, --detach', 'print the name and return')
    .option('-e, --env <name=value>', 'set a variable (may be repeated)', collect)
    .option('-p, --publish <host:container>', 'give it a port of this host, such as 8080:80 (may be repeated)', collect)
    .option('-v, --volume <from:to[:ro]>', 'give it a directory of this host (may be repeated)', collect)
    .option('-u, --user <uid[:gid]>', 'run as this user, by number')
    .option('-w, --workdir <directory>', 'run in this directory')
    .option('-l, --label <name=value>', 'label the Pod (may be repeated)', collect)
    .option('--entrypoint <program>', "instead of the image's own")
    .option('--cpus <n>', 'CPU limit, such as 0.5 or 250m')
    .option('-m, --memory <size>', 'memory limit, such as 256Mi')
    .option('--read-only', 'its root is not writable')
    .option('--restart <policy>', 'no, on-failure or always; with --detach', 'no')
    .option('--runtime <class>', 'RuntimeClass: vm, or namespace for work you trust')
    .option('--name <name>', 'name of the Pod (default: made from the image)')
    .option('-n, --namespace <name>', 'namespace', 'default')
    .option('--pull <policy>', 'Always, IfNotPresent or Never', 'IfNotPresent')
    .option('--dry-run', 'write the manifest of the Pod, and run nothing')
    .addOption(new Option('-o, --output <format>', 'with --detach or --dry-run').choices(['json']))
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Examples:
  ./sampan run --rm -it localhost/demo -- sh
  ./sampan run --rm -e NAME=you localhost/demo -- sh -c 'echo hi $NAME; exit 3'
  ./sampan run -d --name web -p 8080:80 localhost/demo -- httpd -f -h /var/www
  ./sampan run --rm -v ./data:/data:ro -w /data localhost/demo -- ls
  ./sampan run --dry-run localhost/demo -- sleep 9 > pod.yaml
`,
    )
    .action(async (image: string, command: string[], options) =>
      (await import('./run.ts')).run(image, withoutDashes(command), options),
    );
}

function psCommand(program: Command): void {
  program
    .command('ps')
    .description('list Pods')
    .option('-A, --all-namespaces', 'of every namespace')
    .option('-n, --namespace <name>', 'namespace', 'default')
    .option('-l, --selector <labels>', 'only those with these labels, such as app=web')
    .option('-q, --quiet', 'only their names')
    .option('-a, --all', 'those that have ended too (as without it)')
    .addOption(new Option('-o, --output <format>').choices(['json', 'yaml', 'wide']).conflicts('quiet'))
    .addHelpText('after', '\nExamples:\n  ./sampan ps -A -o wide\n  ./sampan rm $(./sampan ps -q -l app=web)')
    .action(async (options) => (await import('./ps.ts')).ps(options));
}

function logsCommand(program: Command): void {
  program
    .command('logs')
    .description('show the output of a Pod')
    .argument('<pod>')
    .option('-f, --follow', 'go on as it grows')
    .option('-c, --container <name>')
    .option('--tail <n>', 'only the last lines')
    .option('--since <duration>', 'only what is younger, such as 90s, 10m or 1h30m')
    .option('-t, --timestamps', 'each line with its time')
    .option('-p, --previous', "of the container's run before this one")
    .option('-n, --namespace <name>', 'namespace', 'default')
    .addHelpText('after', '\nExamples:\n  ./sampan logs -f web\n  ./sampan logs --tail 20 -t web')
    .action(async (pod: string, options) => (await import('./logs.ts')).logs(pod, options));
}

function execCommand(program: Command): void {
  program
    .command('exec')
    .description("run a command in a running Pod; the exit code is the command's")
    .argument('<pod>')
    .argument('<command...>')
    .option('-i, --interactive', 'pass stdin on')
    .option('-t, --tty', 'give it a terminal')
    .option('-c, --container <name>')
    .option('-n, --namespace <name>', 'namespace', 'default')
    .passThroughOptions()
    .addOption(new Option('-u, --user <user>').hideHelp())
    .addOption(new Option('-w, --workdir <directory>').hideHelp())
    .addOption(new Option('-e, --env <name=value>').hideHelp())
    .addOption(new Option('-d, --detach').hideHelp())
    .addHelpText(
      'after',
      `
Examples:
  ./sampan exec -it web -- sh
  ./sampan exec web -- env GREETING=hello sh -c 'cd /tmp && echo $GREETING'`,
    )
    .action(async (pod: string, command: string[], options) =>
      (await import('./exec.ts')).exec(pod, withoutDashes(command), options),
    );
}

function rmCommand(program: Command): void {
  program
    .command('rm')
    .description('delete Pods; their VMs are released')
    .argument('<pods...>')
    .option('-f, --force', 'at once, without grace')
    .option('-n, --namespace <name>', 'namespace', 'default')
    .addHelpText('after', '\nExample:\n  ./sampan rm -f web')
    .action(async (pods: string[], options) => (await import('./rm.ts')).rm(pods, options));
}

function imageCommands(image: Command): void {
  image
    .command('ls')
    .description('list images')
    .addOption(new Option('-o, --output <format>').choices(['json']))
    .action(async (options) => (await import('./image.ts')).list(options));
  image
    .command('pull')
    .description('pull an image from its registry')
    .argument('<image>')
    .option('--user <name:password>', 'credentials; the password may come from SAMPAN_REGISTRY_PASSWORD instead')
    .addHelpText(
      'after',
      '\nExample:\n  SAMPAN_REGISTRY_PASSWORD=secret ./sampan image pull --user me registry.example/app:1',
    )
    .action(async (name: string, options) => (await import('./image.ts')).pull(name, options));
  image
    .command('import')
    .description('import an OCI or docker-save archive')
    .argument('<archive>', 'a tar file, plain, gzip or zstd; - reads it from a pipe')
    .option('--as <name>', 'name its image where the archive does not, or anew')
    .addHelpText(
      'after',
      '\nExamples:\n  docker save my/app:1 | gzip > app.tar.gz; ./sampan image import app.tar.gz\n  docker save my/app:1 | ./sampan image import -',
    )
    .action(async (archive: string, options) => (await import('./image.ts')).importArchive(archive, options));
  image
    .command('rm')
    .description('remove images')
    .argument('<images...>')
    .action(async (names: string[]) => (await import('./image.ts')).remove(names));
}
