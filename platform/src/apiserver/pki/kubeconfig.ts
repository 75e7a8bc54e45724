/** The admin's kubeconfig: certificates embedded, readable by its owner alone. */
import { writeFileAtomic } from '../../base/files.ts';
import type { Pki } from './pki.ts';

export interface KubeconfigOptions {
  pki: Pki;
  /** https://host:port as clients reach it. */
  server: string;
  path: string;
}

export async function writeAdminKubeconfig({ pki, server, path }: KubeconfigOptions): Promise<void> {
  const admin = await pki.adminClient();
  // In full here: a writer of YAML is a lot of code to hold in memory for one file.
  const config = `apiVersion: v1
kind: Config
clusters:
  - name: sampan
    cluster:
      server: ${JSON.stringify(server)}
      certificate-authority-data: ${base64(pki.caCertificate)}
users:
  - name: admin
    user:
      client-certificate-data: ${base64(admin.certificate)}
      client-key-data: ${base64(admin.key)}
contexts:
  - name: sampan
    context:
      cluster: sampan
      user: admin
current-context: sampan
`;
  await writeFileAtomic(path, config, { mode: 0o600 });
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
