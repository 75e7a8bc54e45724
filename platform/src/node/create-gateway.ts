/** The kubelet's server API: logs, exec, attach, port-forward, statistics of this node's Pods, with kubelet's refusals. */
import { SampanError } from '@sampan/api/errors.ts';
import type { NodeContext } from './act/context.ts';
import { type ContainerRecord, runsOf } from './decide/model.ts';
import type { NodeGateway, PodKey } from './gateway.ts';
import { containerLog } from './logs/container-log.ts';
import type { NodeEndpoints } from './node-options.ts';
import type { Observer } from './observe.ts';
import type { PodState } from './pod-state.ts';
import type { PodWorkers } from './pod-workers.ts';
import { statsSummary } from './stats/stats-summary.ts';

export interface GatewayOptions {
  context: NodeContext;
  workers: PodWorkers;
  observer: Observer;
  endpoints?: NodeEndpoints;
}

export function createGateway(options: GatewayOptions): NodeGateway {
  const { context, workers, observer } = options;
  const { runtime } = context;
  const find = (key: PodKey): PodState => podOf(workers, key);
  const running = async (key: PodKey, name: string): Promise<string> =>
    runningId(key, name, (await observer.observe(find(key).object)).containers);
  return {
    async logs(key, log, signal) {
      const state = find(key);
      return containerLog({ context, observer, state, options: log, signal });
    },
    async exec(key, { container, command, ...streams }) {
      return runtime.exec({ containerId: await running(key, container), cmd: command, ...streams });
    },
    async attach(key, { container, ...streams }) {
      return runtime.attach({ containerId: await running(key, container), ...streams });
    },
    async portForward(key, port) {
      const { sandboxes } = await observer.observe(find(key).object);
      const sandbox = sandboxes.find((one) => one.ready);
      if (!sandbox)
        throw new SampanError(
          'FailedPrecondition',
          `pod ${key.namespace}/${key.name} is not running; its machine has not started or is gone`,
        );
      return runtime.portForward(sandbox.id, port);
    },
    statsSummary: () => statsSummary(context, workers.all()),
    async proxy(request, response, url) {
      if (url.pathname === '/healthz') {
        response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
        return;
      }
      if (url.pathname === '/stats/summary') {
        const text = JSON.stringify(await statsSummary(context, workers.all()));
        response.writeHead(200, { 'content-type': 'application/json' }).end(text);
        return;
      }
      if (await options.endpoints?.handle(request, response, url)) return;
      throw new SampanError('NotFound', `node ${context.nodeName} serves nothing at ${request.method} ${url.pathname}`);
    },
  };
}

function podOf(workers: PodWorkers, { uid, name, namespace }: PodKey): PodState {
  const state = workers.get(uid);
  if (!state || state.finished)
    throw new SampanError('NotFound', `pod ${name}_${namespace} not found`, { kind: 'pods', name });
  return state;
}

function runningId({ name, namespace, uid }: PodKey, container: string, containers: ContainerRecord[]): string {
  const [record] = runsOf(containers, container);
  if (!record)
    throw new SampanError('NotFound', `container not found ("${container}") in pod ${name}_${namespace}(${uid})`);
  if (record.state !== 'running')
    throw new SampanError(
      'FailedPrecondition',
      `container "${container}" of pod ${namespace}/${name} is not running: it is ${record.state}`,
    );
  return record.id;
}
