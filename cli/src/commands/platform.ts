/** Commands about the platform itself: up, down, cri, runtime, status, doctor, kubeconfig, test, bench. */
import { type Command, Option } from 'commander';
import { currentInstance, kubeconfigPath } from '../instance.ts';
import { withNetworkOptions } from '../setup/network-options.ts';
import type { CriOptions } from './cri.ts';
import type { DoctorOptions } from './doctor.ts';
import type { DownOptions } from './down.ts';
import type { UpOptions } from './up.ts';

/** In the order of `--help`. Each action is imported when it is used, so that a command pays only for what it needs. */
export function platformCommands(program: Command): void {
  upCommand(program);
  downCommand(program);
  criCommand(program);
  runtimeCommand(program);
  statusCommand(program);
  doctorCommand(program);
  kubeconfigCommand(program);
  testCommand(program);
  benchCommand(program);
}

function upCommand(program: Command): void {
  withNetworkOptions(
    program
      .command('up')
      .description('set up what is missing and start the platform; it keeps running')
      .option('--demo', 'run a demo Pod in its own VM, show its log and how to go on'),
  )
    .addHelpText(
      'after',
      `
Examples:
  ./sampan up
  ./sampan up --demo
  ./sampan up --cni    Pods on the network that /etc/cni/net.d describes
  SAMPAN_HOME=/tmp/two SAMPAN_LISTEN=127.0.0.1:6444 ./sampan up    another one

With --cni the API server listens on the host's own address too, and so does,
on port 53, a resolver that answers Pods alone: there is no gateway of ours
where Pods could find them. ./sampan doctor --cni says whether it can be used.

With --macvlan a Pod of runtimeClassName namespace that is annotated
sampan.dev/network-mode: macvlan has an address of its own on the parent's wire.`,
    )
    .action(async (options: UpOptions) => (await import('./up.ts')).up(options));
}

function downCommand(program: Command): void {
  program
    .command('down')
    .description('stop the platform; Pods go on unless --pods is given')
    .option('--pods', 'also stop every Pod and remove what the platform made on this host')
    .option(
      '--runtime',
      'stop what serves containerd and Podman, their containers in machines, and remove what it made',
    )
    .addHelpText(
      'after',
      `
Examples:
  ./sampan down              the server stops, Pods keep running, up adopts them
  ./sampan down --pods       everything stops
  ./sampan down --runtime    what ./sampan runtime made is removed`,
    )
    .action(async (options: DownOptions) => (await import('./down.ts')).down(options));
}

function criCommand(program: Command): void {
  withNetworkOptions(
    program
      .command('cri')
      .description('serve CRI v1 on a unix socket for a kubelet or crictl, in the foreground, without an API server')
      .option('--listen <endpoint>', 'the unix socket', 'unix:///run/sampan/cri.sock')
      .option('--home <directory>', 'where state is kept (default: SAMPAN_HOME, /var/lib/sampan)'),
  )
    .addHelpText(
      'after',
      `
Examples:
  ./sampan cri
  ./sampan cri --listen unix:///tmp/cri.sock --home /tmp/cri    a second one
  crictl --runtime-endpoint unix:///run/sampan/cri.sock ps      elsewhere
  kubelet --container-runtime-endpoint=unix:///run/sampan/cri.sock ...

It says when it is ready. Ctrl-C or SIGTERM stops it; Pods go on and are taken
up by the next start. ./sampan down --pods, with the same SAMPAN_HOME, removes
them and all that was made for them.`,
    )
    .action(async (options: CriOptions) => (await import('./cri.ts')).cri(options));
}

function runtimeCommand(program: Command): void {
  program
    .command('runtime')
    .description('run containers of containerd and Podman in machines, in the foreground, without an API server')
    .option('--home <directory>', 'where state is kept (default: SAMPAN_HOME, /var/lib/sampan)')
    .addHelpText(
      'after',
      `
Examples:
  ./sampan runtime
  ctr run --rm --runtime io.containerd.sampan.v2 IMAGE NAME COMMAND

It says how containerd and Podman find it. Ctrl-C or SIGTERM stops it; machines go
on. ./sampan down --runtime, with the same SAMPAN_HOME, ends them and removes all
that was made for them.`,
    )
    .action(async (options: { home?: string }) => (await import('./runtime.ts')).runtime(options));
}

function statusCommand(program: Command): void {
  program
    .command('status')
    .description('say whether the platform runs, and what runs on it')
    .addOption(new Option('-o, --output <format>').choices(['json']))
    .action(async (options: { output?: string }) => (await import('./status.ts')).status(options));
}

function doctorCommand(program: Command): void {
  withNetworkOptions(
    program.command('doctor').description('say what this machine can and cannot do, and how to mend it'),
  )
    .addOption(new Option('-o, --output <format>').choices(['json']))
    .action(async (options: DoctorOptions) => (await import('./doctor.ts')).doctor(options));
}

function kubeconfigCommand(program: Command): void {
  program
    .command('kubeconfig')
    .description("print the path of the admin's kubeconfig")
    .addHelpText('after', '\nExample:\n  export KUBECONFIG=$(./sampan kubeconfig); kubectl get pods -A')
    .action(() => {
      process.stdout.write(`${kubeconfigPath(currentInstance())}\n`);
    });
}

function testCommand(program: Command): void {
  program
    .command('test')
    .description('set up what is missing and run every test, real microVMs included')
    .option('--unit', 'only the checks and unit tests')
    .option('--once', 'run no file that failed a second time: what is unsteady fails the run, too')
    .argument('[files...]', 'only these test files')
    .action(async (files: string[], options: { unit?: boolean; once?: boolean }) =>
      (await import('./test.ts')).test(files, options),
    );
}

function benchCommand(program: Command): void {
  program
    .command('bench')
    .description(
      'measure: start (the time a Pod takes to start, and its memory), overhead (what a Pod costs beside its containers), api (the API server against kube-apiserver over etcd), runtime (under Podman and containerd, against crun and runc)',
    )
    .argument('<name>', 'start, overhead, api or runtime')
    .option('--json', 'one JSON document instead of a table')
    .option('--runs <n>', 'runs of each thing compared', '20')
    .option('--only <parts>', 'of runtime: starts, inside and cri, separated by commas')
    .addHelpText(
      'after',
      '\nExamples:\n  ./sampan bench start --json\n  ./sampan bench runtime --only starts --runs 12',
    )
    .action(async (name: string, options: { json?: boolean; runs: string; only?: string }) =>
      (await import('./bench.ts')).bench(name, options),
    );
}
