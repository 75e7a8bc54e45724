/** Connects to the API with a kubeconfig: --kubeconfig or KUBECONFIG where set for another cluster, else this instance's admin. */
import { readFile } from 'node:fs/promises';
import type { KubeClient } from '@sampan/api/client.ts';
import { resources } from '@sampan/api/client.ts';
import { createHttpsClient } from '@sampan/api/https-client.ts';
import { parse } from 'yaml';
import { z } from 'zod';
import { Failure } from './failure.ts';
import { send } from './https.ts';
import { type CliInstance, currentInstance, kubeconfigPath } from './instance.ts';

const kubeconfig = z.object({
  'current-context': z.string(),
  contexts: z.array(
    z.object({
      name: z.string(),
      context: z.object({ cluster: z.string(), user: z.string(), namespace: z.string().optional() }),
    }),
  ),
  clusters: z.array(
    z.object({ name: z.string(), cluster: z.object({ server: z.url(), 'certificate-authority-data': z.string() }) }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.object({
        token: z.string().optional(),
        'client-certificate-data': z.string().optional(),
        'client-key-data': z.string().optional(),
      }),
    }),
  ),
});

/** What a connection needs: where, whom to trust, who we are. */
export interface Credentials {
  server: string;
  ca: Buffer;
  token?: string;
  cert?: Buffer;
  key?: Buffer;
  namespace: string;
}

export async function loadCredentials(path: string): Promise<Credentials> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new Failure(`cannot read ${path}`, { why: error.message, mend: 'start the platform first: ./sampan up' });
  });
  const config = kubeconfig.parse(parse(text));
  const context = config.contexts.find((one) => one.name === config['current-context'])?.context;
  const cluster = config.clusters.find((one) => one.name === context?.cluster)?.cluster;
  const user = config.users.find((one) => one.name === context?.user)?.user;
  if (!context || !cluster || !user) {
    throw new Failure(`${path} has no usable current context`, {
      why: `current-context is "${config['current-context']}"`,
      mend: 'kubectl config use-context',
    });
  }
  const decode = (data?: string) => (data === undefined ? undefined : Buffer.from(data, 'base64'));
  return {
    server: cluster.server,
    ca: decode(cluster['certificate-authority-data'])!,
    token: user.token,
    cert: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
    namespace: context.namespace ?? 'default',
  };
}

/** The API as `credentials` let us see it. */
export function connectWith(credentials: Credentials): KubeClient {
  return createHttpsClient({
    fieldManager: 'sampan',
    transport: {
      async send(wanted) {
        const body = await send(credentials, wanted);
        return { status: body.statusCode ?? 500, body };
      },
    },
  });
}

export async function connect(instance: CliInstance): Promise<KubeClient> {
  return connectWith(await loadCredentials(kubeconfigPath(instance)));
}

export interface Connection {
  client: KubeClient;
  credentials: Credentials;
  /** The node whose images `image` and `run` speak of: the first one. */
  nodeName: string;
}

/** What most commands need: a client, the credentials for streams, and the node. */
export async function connection(): Promise<Connection> {
  const credentials = await loadCredentials(kubeconfigPath(currentInstance()));
  const client = connectWith(credentials);
  const nodes = await client.list(resources.nodes);
  const nodeName = nodes.items[0]?.metadata?.name;
  if (!nodeName)
    throw new Failure('this instance has no node yet', {
      why: 'the node registers a moment after the server starts',
      mend: 'try again; ./sampan status and the server log tell more',
    });
  return { client, credentials, nodeName };
}
