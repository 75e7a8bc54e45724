/** What real clients are tried against: an API over TLS with all controllers and a node without machines. */
import { spawn } from 'node:child_process';
import { systemUser } from '../../src/apiserver/auth/user.ts';
import { silentLogger } from '../../src/base/log.ts';
import { createControllers } from '../../src/controllers/controllers.ts';
import { startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { startTestApi, type TestApi, type TestApiOptions } from './api-test-server.ts';

export interface ClientsLab extends AsyncDisposable {
  api: TestApi;
  url: string;
  kubeconfig: string;
}

/** With `apiServer` there is a Service `kubernetes` that leads there. */
export async function startClientsLab(
  options: TestApiOptions & { apiServer?: { host: string; port: number } } = {},
): Promise<ClientsLab> {
  const { apiServer } = options;
  const api = await startTestApi(options);
  const kinds = options.kinds ?? (await import('@sampan/api/kinds/all.ts')).allKinds;
  const controllers = createControllers({
    clientFor: (component) => api.server.inProcess(systemUser(component)),
    log: silentLogger,
    kinds,
    namespaced: kinds.filter(({ ref }) => ref.namespaced).map(({ ref }) => ref),
    caCertificate: api.pki.caCertificate,
    ...(apiServer && { apiServer }),
  });
  await controllers.start();
  // Its Pods have ended when they are Jobs' and run for ever otherwise, as those of a chart would.
  const kubelet = await startFakeKubelet({
    client: api.client,
    fate: (pod) => (pod.spec?.restartPolicy === 'Always' ? 'ready' : 'succeeded'),
  });
  const { url, kubeconfig } = await api.listen();
  return {
    api,
    url,
    kubeconfig,
    async [Symbol.asyncDispose]() {
      await kubelet[Symbol.asyncDispose]();
      await controllers.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

export interface ProgramResult {
  code: number;
  /** Both streams, as they came. */
  output: string;
  stdout: string;
}

/** Runs to the end, at most `timeoutMs`; never throws for an exit code. */
export function runProgram(
  path: string,
  args: string[],
  options: { env?: Record<string, string>; cwd?: string; timeoutMs?: number } = {},
): Promise<ProgramResult> {
  const { env, cwd, timeoutMs = 150_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { env: { ...process.env, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let output = '';
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, output, stdout });
    });
  });
}
