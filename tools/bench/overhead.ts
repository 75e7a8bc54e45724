/**
 * `sampan bench overhead`: what an idle Pod of each runtime handler costs this host beside what its container uses, against the overhead.podFixed that
 * the RuntimeClasses publish. The memory of a machine is the proportional set of its VMM, or its control group's where there is none.
 */
import type { ContainerStats } from '../../platform/src/runtime/generated/cri.ts';
import type { Handler } from '../../platform/src/runtime/sandbox/handlers.ts';
import {
  guestOverheadMib,
  namespaceOverheadMib,
  vmmOverheadMib,
} from '../../platform/src/runtime/sandbox/vm/machine-shape.ts';
import { missingParts, RuntimeLab } from '../../platform/test/integration/runtime-lab.ts';
import { until } from '../../platform/test/integration/support/wait.ts';
import { flagValue, json } from './flags.ts';
import { atMost, describeMachine, print, type Series, summarise } from './report.ts';

const pods = Math.min(10, Number(flagValue('--runs') ?? 5));
const mib = 2 ** 20;
const published: Record<Handler, number> = { vm: guestOverheadMib + vmmOverheadMib, namespace: namespaceOverheadMib };

const missing = missingParts();
if (missing) throw new Error(missing);
const series: Record<string, Series> = {};
let acceleration = 'none';
for (const handler of ['vm', 'namespace'] as const) {
  process.stderr.write(`${pods} idle Pods of ${handler}\n`);
  await using lab = await RuntimeLab.open({ handler });
  if (handler === 'vm') acceleration = (await lab.vmm.capabilities()).acceleration;
  const machines: number[] = [];
  const beside: number[] = [];
  for (let index = 0; index < pods; index++) {
    const podSandboxId = await lab.sandbox(`idle-${index}`);
    const containerId = await lab.started(podSandboxId, 'exec sleep 1000');
    const used = await until('the container is counted', () => usedMib(lab, containerId));
    const machine = await machineMib(lab, podSandboxId);
    machines.push(machine);
    beside.push(machine - used);
  }
  series[`${handler}: memory of an idle Pod`] = summarise('MiB', machines);
  series[`${handler}: beside its container`] = summarise('MiB', beside);
}
const goals = (['vm', 'namespace'] as const).map((handler) =>
  atMost(
    `${handler}: overhead, of what its RuntimeClass publishes`,
    published[handler],
    series[`${handler}: beside its container`]!.max,
    'MiB',
  ),
);
print({ bench: 'overhead', machine: describeMachine(acceleration), series, ratios: {}, goals }, json);

async function usedMib(lab: RuntimeLab, containerId: string): Promise<number | undefined> {
  const { stats } = (await lab.runtime.containerStats({ containerId })) as { stats?: ContainerStats };
  const bytes = Number(stats?.memory?.usageBytes?.value ?? 0n);
  return bytes > 0 ? bytes / mib : undefined;
}

async function machineMib(lab: RuntimeLab, podSandboxId: string): Promise<number> {
  const machine = await lab.vmm.find(`${lab.instance.run}/vm/${podSandboxId.slice(0, 24)}`);
  return (await machine!.stats()).pssBytes / mib;
}
