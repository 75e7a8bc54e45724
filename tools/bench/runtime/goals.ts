/** What `bench runtime` promises: ratios and goals out of what was measured; what was not measured is left out. */
import { atLeast, atMost, type BenchDocument, describeMachine, type Goal, round, type Series } from '../report.ts';

export function documentOf(series: Record<string, Series>, kvm: boolean): BenchDocument {
  const p50 = (name: string) => series[name]?.p50 ?? Number.NaN;
  const ratios: Record<string, number> = {};
  for (const [door, base] of [
    ['podman', 'crun'],
    ['ctr', 'runc'],
  ] as const)
    for (const handler of ['vm', 'namespace'])
      ratios[`run: ${door}, sampan ${handler}/${base}`] = round(
        p50(`run: ${door}, sampan ${handler}`) / p50(`run: ${door}, ${base}`),
      );
  const over = (name: string, base: string) => p50(name) - p50(base);
  const goals: Goal[] = [
    atMost('podman run with namespace, of crun', 1, ratios['run: podman, sampan namespace/crun']!),
    atMost('ctr run with namespace, of runc', 1, ratios['run: ctr, sampan namespace/runc']!),
    atMost(
      'exec into a VM Pod, over exec on the host (CRI: containerd and runc)',
      15,
      over('exec through CRI: sampan vm', 'exec through CRI: containerd, runc'),
      'ms',
    ),
    atMost(
      'exec into a VM, over exec on the host (command line: crun)',
      15,
      over('exec: sampan vm', 'exec: on the host'),
      'ms',
    ),
    atLeast('stdout of a VM', kvm ? 200 : 40, p50('stdout: sampan vm'), 'MB/s'),
    ...(kvm ? [atMost("the VMM's own memory", 15, p50("memory of a VM: the VMM's own"), 'MiB')] : []),
    // containerd makes a container when it is started: the two calls are compared together.
    ...[['CreatePod'], ['CreateContainer', 'StartContainer']].map((operations) => {
      const at = (name: string) => operations.reduce((sum, operation) => sum + p50(`critest ${operation}: ${name}`), 0);
      return atMost(
        `critest ${operations.join(' and ')} with namespace, of containerd and runc`,
        1,
        at('sampan namespace') / at('containerd, runc'),
      );
    }),
  ];
  const known = (value: number | string) => !Number.isNaN(value);
  return {
    bench: 'runtime',
    machine: describeMachine(kvm ? 'kvm' : 'tcg'),
    series,
    ratios: Object.fromEntries(Object.entries(ratios).filter(([, ratio]) => known(ratio))),
    goals: goals.filter(({ measured }) => known(measured)),
  };
}
