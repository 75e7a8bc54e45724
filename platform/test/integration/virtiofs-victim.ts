/** Killed by itself (SIGKILL) at the named step while a Pod's machine is exchanged for one with the host's directories (virtiofs-pods.test.ts). */
import { RuntimeLab } from './runtime-lab.ts';

const [home, step, host] = process.argv.slice(2);
const lab = await RuntimeLab.open({
  home: home!,
  onStep: (name) => {
    if (name === step) process.kill(process.pid, 'SIGKILL');
  },
});
const podSandboxId = await lab.sandbox(`victim-${step}`);
await lab.container(podSandboxId, 'true', { mounts: [{ hostPath: host!, containerPath: '/host' }] });
