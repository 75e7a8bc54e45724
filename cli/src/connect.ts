/** Connects to the API as this instance's admin. */
import type { KubeClient } from '@sampan/api/client.ts';
import { resources } from '@sampan/api/client.ts';
import { createHttpsClient } from '@sampan/api/https-client.ts';
import { type Credentials, loadCredentials } from './credentials.ts';
import { Failure } from './failure.ts';
import { send } from './https.ts';
import { type CliInstance, currentInstance, kubeconfigPath, runningServer } from './instance.ts';

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
  /** The node whose images `image` and `run` speak of: this instance's own. */
  nodeName: string;
}

/** What most commands need: a client, the credentials for streams, and the node. */
export async function connection(): Promise<Connection> {
  const instance = currentInstance();
  const credentials = await loadCredentials(kubeconfigPath(instance));
  const client = connectWith(credentials);
  const [nodes, server] = await Promise.all([client.list(resources.nodes), runningServer(instance)]);
  const nodeName = ownNode(
    nodes.items.map(({ metadata }) => metadata?.name ?? ''),
    server?.nodeName,
  );
  if (!nodeName)
    throw new Failure('this instance has no node yet', {
      why: 'the node registers a moment after the server starts',
      mend: 'try again; ./sampan status and the server log tell more',
    });
  return { client, credentials, nodeName };
}

/** Of the nodes there are, the one that the server runs itself: kubelets of others may have joined. Where it is not known the first. Pure. */
export function ownNode(names: string[], own: string | undefined): string | undefined {
  return own === undefined ? names[0] : names.find((name) => name === own);
}
