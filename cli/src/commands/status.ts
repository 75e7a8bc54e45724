/** `sampan status`: whether the server runs, where, and how many Pods there are. Exit code 3 when it does not run. */
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { connect } from '../connect.ts';
import { currentInstance, kubeconfigPath, runningServer } from '../instance.ts';

export async function status(options: { output?: string }): Promise<void> {
  const instance = currentInstance();
  const server = await runningServer(instance);
  const pods = server
    ? (await (await connect(instance)).list<KubeObject & { status?: { phase?: string } }>(resources.pods)).items
    : [];
  const phases: Record<string, number> = {};
  for (const pod of pods) phases[pod.status?.phase ?? 'Unknown'] = (phases[pod.status?.phase ?? 'Unknown'] ?? 0) + 1;
  const result = {
    running: server !== undefined,
    home: instance.home,
    kubeconfig: kubeconfigPath(instance),
    ...(server ? { url: server.url, pid: server.pid, node: server.nodeName, version: server.version } : {}),
    pods: phases,
  };
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  else if (!server) process.stdout.write(`Sampan does not run (home ${instance.home}). Start it: ./sampan up\n`);
  else {
    const summary =
      Object.entries(phases)
        .map(([phase, count]) => `${count} ${phase}`)
        .join(', ') || 'none';
    process.stdout.write(
      `Sampan ${server.version} runs at ${server.url}\n  node        ${server.nodeName}\n  process     ${server.pid}\n  home        ${instance.home}\n  kubeconfig  ${result.kubeconfig}\n  Pods        ${summary}\n`,
    );
  }
  if (!server) process.exitCode = 3;
}
