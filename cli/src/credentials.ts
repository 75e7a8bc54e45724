/** What a connection to the API needs, read from a kubeconfig. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { Failure } from './failure.ts';
import { notYours } from './instance.ts';

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
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') throw notYours(error);
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
