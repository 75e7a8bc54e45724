/**
 * A server for runtime-kill.test.ts to kill. Arguments: home directory, then what to do:
 *   adopt        takes up what is there, and stays
 *   write        runs a Pod that writes numbered lines, prints its ids, and stays
 *   die STEP     leads a Pod through its whole life and kills itself at the named step
 */
import { RuntimeLab } from './runtime-lab.ts';

const [home, what, step] = process.argv.slice(2);
const onStep = (name: string) => {
  if (name === step) process.kill(process.pid, 'SIGKILL');
};
const lab = await RuntimeLab.open({ home: home!, onStep });
if (what === 'write') {
  const podSandboxId = await lab.sandbox('writer');
  const lines = 'i=0; while [ $i -lt 30000 ]; do echo "line $i"; i=$((i+1)); done; echo end >&2; sleep 600';
  const containerId = await lab.started(podSandboxId, lines);
  console.log(JSON.stringify({ podSandboxId, containerId }));
} else if (what === 'die') {
  const podSandboxId = await lab.sandbox(`victim-${step}`, step?.startsWith('image') ? { annotations: {} } : {});
  const containerId = await lab.started(podSandboxId, 'echo hello; exit 3');
  await lab.exited(containerId);
  await lab.runtime.removeContainer({ containerId });
  await lab.runtime.removePodSandbox({ podSandboxId });
  console.log('alive');
}
