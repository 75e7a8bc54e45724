/** The configuration of containerd's CRI plugin with our runtimes, as containerd 1 and 2 each want it. Pure. */
export interface CriPluginOptions {
  major: 1 | 2;
  /** Directory of the CNI configuration. */
  cni: string;
  pauseImage: string;
  /** Directory of hosts' certificates (containerd's docs/hosts.md). */
  registries?: string;
}

/** Runtimes by name: `sampan`, `sampan-namespace`, and `runc` to compare with; for containerd 2 also `sampan-pod`, whose Pods are sandboxes of the sandbox API. */
export function criPluginLines({ major, cni, pauseImage, registries }: CriPluginOptions): string[] {
  const images = 'plugins."io.containerd.cri.v1.images"';
  const runtime = major === 2 ? 'plugins."io.containerd.cri.v1.runtime"' : 'plugins."io.containerd.grpc.v1.cri"';
  const registry = major === 2 ? `${images}.registry` : `${runtime}.registry`;
  // A machine has devices of its own to be privileged with.
  const of = (type: string, ...more: string[]) => [
    `runtime_type = "${type}"`,
    'privileged_without_host_devices = true',
    ...more,
  ];
  const table = (name: string, ...lines: string[]) => [`[${name}]`, ...lines.map((line) => `  ${line}`)].join('\n');
  return [
    table(runtime, 'disable_apparmor = true', ...(major === 1 ? [`sandbox_image = "${pauseImage}"`] : [])),
    ...(major === 2 ? [table(`${images}.pinned_images`, `sandbox = "${pauseImage}"`)] : []),
    ...(registries ? [table(registry, `config_path = "${registries}"`)] : []),
    table(
      `${runtime}.cni`,
      major === 2 ? 'bin_dirs = ["/usr/lib/cni"]' : 'bin_dir = "/usr/lib/cni"',
      `conf_dir = "${cni}"`,
    ),
    table(`${runtime}.containerd`, 'default_runtime_name = "sampan"'),
    table(`${runtime}.containerd.runtimes.sampan`, ...of('io.containerd.sampan.v2')),
    table(`${runtime}.containerd.runtimes.sampan-namespace`, ...of('io.containerd.sampan-namespace.v2')),
    table(`${runtime}.containerd.runtimes.runc`, 'runtime_type = "io.containerd.runc.v2"'),
    ...(major === 2
      ? [
          table(
            `${runtime}.containerd.runtimes.sampan-pod`,
            ...of('io.containerd.sampan.v2', 'sandboxer = "shim"', 'disable_pause_image_pull = true'),
          ),
        ]
      : []),
  ];
}
